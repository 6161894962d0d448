//! Every scenario of the project through the built component, a test each.

host_test::scenarios!("scenarios", component = "../target/defender_source.wasm");
