//! The contract on one node and on three.

mod alone {
    async fn fresh() -> Option<(crate::jetstream::JetStream, crate::jetstream::Options)> {
        super::super::world::fresh(1).await
    }

    crate::contract::suite!(fresh);
}

mod three_nodes {
    async fn fresh() -> Option<(crate::jetstream::JetStream, crate::jetstream::Options)> {
        super::super::world::fresh(3).await
    }

    crate::contract::suite!(fresh);
}
