// Concurrent threads, of OpenMP or of the standard library.
#pragma once

#include <functional>

namespace nnth {

// The processors that this process may run on.
int processors();

// Calls work(number) for number = 0, ..., threads - 1, each on its own thread, number 0 on the
// calling thread, and returns when all have returned. `work` must not throw. Fewer threads are
// started if the system allows no more, so no thread may wait for another.
//
// OpenMP keeps its threads between calls. A child process that is forked after the first call does
// not have them, and GNU OpenMP waits for them forever. In such a child, and if the compiler has no
// OpenMP, the threads are std::threads.
void run_threads(int threads, const std::function<void(int)>& work);

}  // namespace nnth
