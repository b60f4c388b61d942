#include "nnth/numerics/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#else
#include <system_error>
#include <thread>
#include <vector>
#endif

namespace nnth {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostThreads = 1024;
constexpr auto kPollInterval = std::chrono::milliseconds(50);

// What the threads of one loop share.
struct Loop {
    std::size_t items;
    const std::function<void(std::size_t)>& body;
    Monitor& monitor;
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> done{0};
    std::atomic<bool> stop{false};
    std::atomic<bool> cancelled{false};
    std::atomic_flag failed = ATOMIC_FLAG_INIT;
    std::exception_ptr failure{};

    // The first failure is kept; the others are of the same loop and say no more.
    void fail(std::exception_ptr error) {
        if (!failed.test_and_set()) failure = std::move(error);
        stop.store(true, std::memory_order_relaxed);
    }

    // Relaxed is enough: the counter only deals out items, the join publishes their results.
    void work(bool calling_thread) noexcept {
        auto asked = Clock::now();
        while (!stop.load(std::memory_order_relaxed)) {
            const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
            if (item >= items) return;
            try {
                body(item);
                done.fetch_add(1, std::memory_order_relaxed);
                if (calling_thread && Clock::now() - asked >= kPollInterval) {
                    ask();
                    asked = Clock::now();
                }
            } catch (const Cancelled&) {  // what a body throws when another was told to stop
                cancelled = true;
                stop = true;
            } catch (...) {
                fail(std::current_exception());
            }
        }
    }

    void ask() {
        if (!monitor.proceed(done.load(std::memory_order_relaxed), items)) throw Cancelled();
    }
};

#ifdef _OPENMP

int processors() {
    return omp_get_num_procs();
}

void run(Loop& loop, int threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
    loop.work(omp_get_thread_num() == 0);
}

#else

int processors() {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void run(Loop& loop, int threads) {
    std::vector<std::thread> others;
    try {
        while (static_cast<int>(others.size()) < threads - 1) {
            others.emplace_back([&loop] { loop.work(false); });
        }
    } catch (const std::system_error&) {  // no more threads to be had: those there are do the work
    }
    loop.work(true);
    for (std::thread& other : others) other.join();
}

#endif

}  // namespace

int thread_count(int threads) {
    if (threads < 0) {
        throw std::invalid_argument("threads must be at least 0, not " + std::to_string(threads));
    }
    return threads == 0 ? processors() : threads;
}

void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t)>& body) {
    Loop loop{items, body, monitor};
    // More threads than items, or than any machine has, only cost memory.
    const std::size_t most = std::max(std::size_t(1), std::min(items, kMostThreads));
    run(loop, static_cast<int>(std::min(std::size_t(thread_count(threads)), most)));
    if (loop.failure) std::rethrow_exception(loop.failure);
    if (loop.cancelled) throw Cancelled();
    if (!monitor.proceed(items, items)) throw Cancelled();
}

}  // namespace nnth
