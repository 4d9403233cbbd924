//! Waiting for a server where a view's calls block, as they do for a file.
//!
//! Connections live on a runtime of their own, so that a question may be asked from any thread: from a blocking task,
//! from a test without a runtime, and from within a runtime whose one thread then waits.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

/// Where connections live.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("views")
        .enable_all()
        .build();
    built.expect("a thread can be started")
});

/// Waits for an answer; what it spawns stays on the runtime of connections.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    let _entered = RUNTIME.enter();
    // A runtime whose thread waits here has given its task so many reads and no more until the task yields, which it does
    // not: unbound, an answer of more of them would be asked for again and again and never be told.
    futures::executor::block_on(tokio::task::unconstrained(answer))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wait;

    /// More parts than a task of tokio may take at one go (128).
    const PARTS: usize = 1_000;

    async fn answer() -> u8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::spawn(async { 7 }).await.unwrap()
    }

    #[test]
    fn an_answer_is_waited_for_without_a_runtime() {
        assert_eq!(wait(answer()), 7);
    }

    #[tokio::test]
    async fn and_on_the_one_thread_of_a_runtime() {
        assert_eq!(wait(answer()), 7);
        let asked = tokio::task::spawn_blocking(|| wait(answer()));
        assert_eq!(asked.await.unwrap(), 7);
    }
    #[test]
    fn an_answer_of_many_parts_is_taken_to_its_end_within_a_runtime() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = super::Builder::new_current_thread().build().unwrap();
            let parts = async {
                for _ in 0..PARTS {
                    tokio::task::consume_budget().await;
                }
            };
            runtime.block_on(async { wait(parts) });
            tell.send(()).unwrap();
        });
        told.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
