#include "nnth/numerics/threads.hpp"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>

#include <atomic>
#endif
#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>
#endif

namespace nnth {

namespace {

void run_standard_threads(int threads, const std::function<void(int)>& work) {
    std::vector<std::thread> others;
    try {
        while (static_cast<int>(others.size()) < threads - 1) {
            others.emplace_back(work, static_cast<int>(others.size()) + 1);
        }
        // The system allows no more threads: fewer threads do the work.
    } catch (const std::system_error&) {
    }
    work(0);
    for (std::thread& other : others) other.join();
}

#ifdef _OPENMP

void run_openmp_threads(int threads, const std::function<void(int)>& work) {
#pragma omp parallel num_threads(threads)
    work(omp_get_thread_num());
}

// Whether OpenMP can be used: not in a child that was forked after OpenMP started its threads.
bool openmp_works() {
#ifdef _WIN32
    return true;
#else
    static std::atomic<bool> forked{false};
    static const bool watched = pthread_atfork(nullptr, nullptr, [] { forked = true; }) == 0;
    return watched && !forked.load(std::memory_order_relaxed);
#endif
}

#endif

}  // namespace

#ifdef _OPENMP

int processors() {
    return omp_get_num_procs();
}

void run_threads(int threads, const std::function<void(int)>& work) {
    if (threads == 1) return work(0);
    (openmp_works() ? run_openmp_threads : run_standard_threads)(threads, work);
}

#else

int processors() {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void run_threads(int threads, const std::function<void(int)>& work) {
    run_standard_threads(threads, work);
}

#endif

}  // namespace nnth
