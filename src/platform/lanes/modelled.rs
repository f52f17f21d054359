//! The lane of a thread in a model: a function of the schedule alone, namely the model's number of the thread.

/// The lane that this thread should write to.
pub(crate) fn lane(lanes: usize) -> usize {
    #[cfg(microbreaker_loom)]
    let id = format!("{:?}", loom::thread::current().id());
    #[cfg(microbreaker_shuttle)]
    let id = format!("{:?}", shuttle::thread::current().id());
    let number: usize = id.chars().filter(char::is_ascii_digit).collect::<std::string::String>().parse().unwrap_or(0);
    number & (lanes - 1)
}
