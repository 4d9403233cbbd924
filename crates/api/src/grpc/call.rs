//! One call: who calls, what is asked, and the answer or the status of its refusal.

use tonic::{Request, Response, Status};

use super::status;
use crate::auth::Principal;
use crate::error::Problem;
use crate::rest::Writer;
use crate::trace::{self, Trace};

/// The credential, as a stream looks at it again and again.
#[derive(Clone)]
pub(super) struct Token(pub(super) String);

/// A call that was let in.
pub(super) struct Call<Q> {
    pub(super) who: Principal,
    pub(super) token: String,
    pub(super) trace: Trace,
    pub(super) asked: Q,
}

impl<Q> Call<Q> {
    fn of(request: Request<Q>) -> Result<Self, Box<(Problem, Trace)>> {
        let (metadata, extensions, asked) = request.into_parts();
        let trace = extensions.get::<Trace>().copied();
        let trace = trace.unwrap_or_else(|| trace::of(&metadata.into_headers()));
        // Put there by the door, once operation and role were found to fit.
        let let_in = extensions.get::<Principal>().zip(extensions.get::<Token>());
        let Some((who, token)) = let_in else {
            let problem = Problem::new("sign_in_needed", "nobody was let in");
            return Err(Box::new((problem, trace)));
        };
        Ok(Self {
            who: who.clone(),
            token: token.0.clone(),
            trace,
            asked,
        })
    }

    /// Who changes something, with the key of the request; an empty one is none.
    pub(super) fn writer(&self, key: &str) -> Result<Writer, Problem> {
        let key = Some(key).filter(|key| !key.is_empty());
        Writer::new(self.who.clone(), key, Some(&self.trace))
    }
}

/// The answer of a method.
pub(super) async fn answered<Q, A, F>(
    request: Request<Q>,
    answer: impl FnOnce(Call<Q>) -> F,
) -> Result<Response<A>, Status>
where
    F: Future<Output = Result<A, Problem>>,
{
    let call = Call::of(request).map_err(|refused| status::of(&refused.0, &refused.1))?;
    let trace = call.trace;
    let answered = answer(call).await;
    answered
        .map(Response::new)
        .map_err(|problem| status::of(&problem, &trace))
}
