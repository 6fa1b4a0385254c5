use cnn_codes::codes::Store;
use cnn_codes::head::Samples;
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
fn main() {
    let store = Store::open(std::path::Path::new(&std::env::args().nth(1).unwrap())).unwrap();
    let samples = Samples::of_store(&store).unwrap();
    let strengths: Vec<f64> = (0..10)
        .map(|i| 10f64.powf(-4.0 + 8.0 * i as f64 / 9.0))
        .collect();
    for _ in 0..4 {
        let t = std::time::Instant::now();
        Logistic::fit_path(
            &samples,
            &strengths,
            &LogisticOptions::default(),
            &mut |_| std::ops::ControlFlow::Continue(()),
        )
        .unwrap();
        println!("path {:.3} s", t.elapsed().as_secs_f64());
    }
}
