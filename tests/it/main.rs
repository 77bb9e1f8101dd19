//! End-to-end tests: the real executable, driven as its users drive it.

mod ab; // the load generator of the seed report ends without a failure
mod access; // keys, limits, origins, and what frontends have given up
mod addresses; // no system call dials what may not be dialled
mod bad_images; // malformed pictures and bombs: answered, and nothing is left of them
mod batch; // every picture exactly once, whatever is killed
mod bench; // load, experiment, floor and plan: true to what the service says of itself
mod chaos; // every promise about faults, in its short form
mod commands; // check, status, model inspect: words and exit codes
mod copies; // no image travels between processes but through shared memory
mod dependencies; // which crate may use which
mod documents; // pages that are files: the comparison, the experiment's report
mod errors; // every refusal: its status, its code, and a service as healthy after as before
mod fail_points; // kill -9 at every instant of a seat's life
mod families; // each kind of model answers what its picture says
mod harvest; // answered pictures kept, sorted, exported
mod inputs; // five types in every form of arrival give the same detections
mod malformed; // requests that two readers could take for different ones, and those that never end
mod monitoring; // alerts and dashboard use names that exist
mod observe; // health, metrics, statistics, the API's description
mod pages; // what people see, in a real browser
mod processes; // who runs, who maps what, who replaces whom, how it ends
mod real_models; // real models on real pictures, against the references
mod reload; // new configurations and models under load, the standby
mod review; // pictures sorted in a real browser
mod sim; // a modelled accelerator, and that everybody says so
mod start; // what is said when a service cannot start
mod upgrade; // another program in the same process, under load
