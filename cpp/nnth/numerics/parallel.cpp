#include "nnth/numerics/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/numerics/threads.hpp"

namespace nnth {

namespace {

constexpr std::size_t kMostThreads = 1024;

// The state that the threads of one loop share.
struct Loop {
    Progress progress;
    const std::function<void(std::size_t, Pulse&)>& body;
    std::atomic<std::size_t> next{0};
    std::atomic<bool> cancelled{false};
    std::atomic_flag failed = ATOMIC_FLAG_INIT;
    std::exception_ptr failure{};

    // The first failure is kept; later ones of the same loop are dropped.
    void fail(std::exception_ptr error) {
        if (!failed.test_and_set()) failure = std::move(error);
        progress.stop.store(true, std::memory_order_relaxed);
    }

    // Relaxed is enough: the counter only assigns items, and the join publishes their results.
    void work(bool calling_thread) noexcept {
        Pulse pulse(progress, calling_thread);
        while (!progress.stop.load(std::memory_order_relaxed)) {
            const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
            if (item >= progress.items) return;
            try {
                body(item, pulse);
                progress.done.fetch_add(1, std::memory_order_relaxed);
                if (calling_thread) pulse.check(item, progress.items);
            } catch (const Cancelled&) {
                cancelled = true;
                progress.stop = true;
            } catch (...) {
                fail(std::current_exception());
            }
        }
    }
};

}  // namespace

int thread_count(int threads) {
    if (threads < 0) {
        throw std::invalid_argument("threads must be at least 0, not " + std::to_string(threads));
    }
    return threads == 0 ? processors() : threads;
}

void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t, Pulse&)>& body) {
    Loop loop{{monitor, items}, body};
    // More threads than items, or than any machine has, would only take memory.
    const std::size_t most = std::max(std::size_t(1), std::min(items, kMostThreads));
    run_threads(static_cast<int>(std::min(std::size_t(thread_count(threads)), most)),
                [&loop](int number) { loop.work(number == 0); });
    if (loop.failure) std::rethrow_exception(loop.failure);
    if (loop.cancelled) throw Cancelled();
    monitor.check(items, items);
}

void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t)>& body) {
    parallel_for(items, threads, monitor, [&body](std::size_t item, Pulse&) { body(item); });
}

}  // namespace nnth
