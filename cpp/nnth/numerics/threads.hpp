// Threads that run at the same time: of OpenMP, or of the standard library.
#pragma once

#include <functional>

namespace nnth {

// The processors that this process may run on.
int processors();

// Calls work(number) for number = 0, ..., threads - 1, each on a thread of its own, number 0 on the
// calling thread, and returns when all have returned. `work` throws nothing. Fewer threads are
// started where the system has no more; so none may wait for another.
//
// OpenMP, which keeps its threads from one call to the next, has none of them left in a child that
// a process forks after its first call, and waits for them for ever (GNU's does). There, and where
// the compiler has no OpenMP, the threads are std::thread's.
void run_threads(int threads, const std::function<void(int)>& work);

}  // namespace nnth
