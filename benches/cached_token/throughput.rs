//! Requests a second and latencies, in rounds that take turns: what disturbs the machine disturbs both.

use std::{env, process::Command, time::Duration};

use crate::{
    Outcome,
    load::{Load, Round, STREAMS},
    server::{Exchange, Kind, Server},
};

/// The median of an odd number of rounds is one of them.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(1);

/// The two that take turns.
const KINDS: [Kind; 2] = [Kind::Echo, Kind::Token];

pub(crate) async fn compare() -> Outcome<()> {
    let exchange = Exchange::of_a_real_call().await?;
    println!(
        "{} calls at once on one connection, answers of {} bytes, {ROUNDS} rounds of {ROUND:?} each, in turn\n",
        STREAMS,
        exchange.answer.len()
    );
    let [mut echo, mut token] =
        [Contestant::start(KINDS[0], &exchange).await?, Contestant::start(KINDS[1], &exchange).await?];
    for _ in 0..ROUNDS {
        echo.round().await?;
        token.round().await?;
    }
    let rates = |contestant: &Contestant| contestant.rounds.iter().map(Round::rate).collect::<Vec<_>>();
    let ratios = rates(&token).iter().zip(rates(&echo)).map(|(token, echo)| token / echo).collect();

    println!("{:10} {:>12} {:>10} {:>10}", "", "requests/s", "p50", "p99");
    for contestant in [&echo, &token] {
        let (p50, p99) = contestant.percentiles();
        let (name, rate) = (contestant.server.kind().name(), middle(rates(contestant)));
        println!("{name:10} {rate:>12.0} {p50:>10.2?} {p99:>10.2?}");
    }
    println!("{:10} {:>12.2}", "ratio", middle(ratios));
    Ok(())
}

/// One of the servers, the load on it, and what came out.
struct Contestant {
    server: Server,
    load: Load,
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
        load.time(ROUND).await?;
        Ok(Self { server, load, rounds: Vec::new() })
    }

    async fn round(&mut self) -> Outcome<()> {
        self.rounds.push(self.load.time(ROUND).await?);
        Ok(())
    }

    /// The median and the 99th percentile of all latencies.
    fn percentiles(&self) -> (Duration, Duration) {
        let mut latencies: Vec<_> = self.rounds.iter().flat_map(|round| &round.latencies).copied().collect();
        latencies.sort_unstable();
        (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100])
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
