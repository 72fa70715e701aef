//! Requests a second, latencies and the server's processor time, in short rounds that take turns: what
//! disturbs the machine disturbs both.

use std::{env, process::Command, time::Duration};

use crate::{
    Outcome,
    load::{Load, Round, STREAMS},
    server::{Exchange, Kind, Server},
};

/// The median of an odd number of rounds is one of them.
const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(250);
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) async fn compare() -> Outcome<()> {
    let exchange = Exchange::of_a_real_call().await?;
    println!(
        "{STREAMS} calls at once on one connection, answers of {} bytes, {ROUNDS} rounds of {ROUND:?} each, in turn\n",
        exchange.answer.len()
    );
    let mut echo = Contestant::start(Kind::Echo, &exchange).await?;
    let mut token = Contestant::start(Kind::Token, &exchange).await?;
    for _ in 0..ROUNDS {
        echo.round().await?;
        token.round().await?;
    }
    println!("{:10} {:>12} {:>12} {:>12} {:>12}", "", "requests/s", "p50", "p99", "CPU/request");
    let cpu = (echo.print()?, token.print()?);
    let rates = token.rounds.iter().zip(&echo.rounds).map(|(token, echo)| token.rate() / echo.rate());
    println!("{:10} {:>12.2} {:>38.2}", "ratio", middle(rates), cpu.1 / cpu.0);
    Ok(())
}

/// One of the servers, the load on it, and what came out.
struct Contestant {
    server: Server,
    load: Load,
    /// The processor time that it had taken before the first round.
    warm_up: Duration,
    rounds: Vec<Round>,
}

impl Contestant {
    async fn start(kind: Kind, exchange: &Exchange) -> Outcome<Self> {
        let server = Server::start(kind, &exchange.answer, Command::new(env::current_exe()?))?;
        let load = Load::connect(&server, &exchange.request(kind)).await?;
        let answer = load.call().await?;
        // The fraction of a second in `expire_time` takes more bytes or fewer.
        assert!(answer.len().abs_diff(exchange.answer.len()) < 8, "the sizes are the same");
        // Caches, allocators and the processor's guesses warm up.
        load.time(WARM_UP).await?;
        let warm_up = server.cpu_time()?;
        Ok(Self { server, load, warm_up, rounds: Vec::new() })
    }

    async fn round(&mut self) -> Outcome<()> {
        self.rounds.push(self.load.time(ROUND).await?);
        Ok(())
    }

    /// Prints a line of the table, and returns the seconds of processor time for a call.
    fn print(&self) -> Outcome<f64> {
        let mut latencies: Vec<_> = self.rounds.iter().flat_map(|round| &round.latencies).collect();
        latencies.sort_unstable();
        let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
        let (name, rate) = (self.server.kind().name(), middle(self.rounds.iter().map(Round::rate)));
        let cpu =
            (self.server.cpu_time()? - self.warm_up).div_f64(self.rounds.iter().map(Round::calls).sum());
        println!("{name:10} {rate:>12.0} {p50:>12.2?} {p99:>12.2?} {cpu:>12.2?}");
        Ok(cpu.as_secs_f64())
    }
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
