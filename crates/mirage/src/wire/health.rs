//! What a node needs, asked by name and within a bound.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use jiff::Timestamp;
use mirage_api::error::Problem;
use mirage_api::health::{Dependency, Readiness};
use mirage_domain::id::WorkspaceId;
use mirage_log::EventLog;
use mirage_log::evidence::EvidenceStore;
use mirage_projections::Runner;

/// How long one of them may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// See the module's doc.
pub(crate) struct Dependencies {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) evidence: Arc<dyn EvidenceStore>,
    pub(crate) workspace: WorkspaceId,
    /// Of a node that folds views.
    pub(crate) runner: Option<Arc<Runner>>,
}

#[async_trait]
impl Readiness for Dependencies {
    async fn dependencies(&self) -> Vec<Dependency> {
        let mut all = vec![
            asked("log", self.log()).await,
            asked("evidence", self.evidence()).await,
        ];
        if let Some(runner) = &self.runner {
            for (view, looked) in runner.inspect(Timestamp::now()).await {
                all.push(of_view(view, looked));
            }
        }
        all
    }
}

impl Dependencies {
    async fn log(&self) -> Result<String, Problem> {
        let head = self.log.head().await?;
        Ok(format!("ends at position {}", head.position))
    }

    async fn evidence(&self) -> Result<String, Problem> {
        self.evidence
            .list(&self.workspace)
            .next()
            .await
            .transpose()?;
        Ok("answers".to_owned())
    }
}

async fn asked(name: &str, answer: impl Future<Output = Result<String, Problem>>) -> Dependency {
    let (is_ready, detail) = match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(Ok(detail)) => (true, detail),
        Ok(Err(problem)) => (false, problem.row.title.to_owned()),
        Err(_) => (false, format!("no answer within {ANSWER_MAX:?}")),
    };
    Dependency {
        name: name.to_owned(),
        is_ready,
        detail,
    }
}

/// A view that is behind is ready: who reads it is told where it stands. One that has stopped is not.
fn of_view(
    view: &str,
    looked: Result<mirage_projections::Status, mirage_projections::Error>,
) -> Dependency {
    let (is_ready, detail) = match looked {
        Ok(status) => {
            let at = format!("stands at {}, {} behind", status.position, status.lag);
            (status.stopped.is_none(), at)
        }
        Err(error) => (false, Problem::from(error).row.title.to_owned()),
    };
    Dependency {
        name: view.to_owned(),
        is_ready,
        detail,
    }
}
