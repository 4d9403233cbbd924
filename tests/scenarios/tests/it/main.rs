//! Scenarios in one binary, so that the patient ones wait beside the busy ones.

mod whole;
