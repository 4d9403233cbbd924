use super::*;
use crate::testing::obeys_projection_law;

#[test]
fn obeys_the_projection_law() {
    obeys_projection_law::<Catalog>();
}
