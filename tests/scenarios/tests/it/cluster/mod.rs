//! The program as a cluster: nodes in roles over servers of their own, hurt in the middle of a scan.

mod company;
