// Objects with memory, reused by the items of a parallel loop.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace nnth {

// There are as many workers as items that run at the same time. An item borrows a worker, in the
// state in which an earlier item, of any thread, returned it.
template <class Worker>
class WorkerPool {
  public:
    explicit WorkerPool(std::function<std::unique_ptr<Worker>()> make) : make_(std::move(make)) {}

    // Returns the worker to the pool when destroyed.
    class Borrowed {
      public:
        Borrowed(WorkerPool& pool, Worker& worker) : pool_(pool), worker_(worker) {}
        ~Borrowed() { pool_.give_back(worker_); }
        Borrowed(const Borrowed&) = delete;
        Borrowed& operator=(const Borrowed&) = delete;
        Worker& operator*() const { return worker_; }
        Worker* operator->() const { return &worker_; }

      private:
        WorkerPool& pool_;
        Worker& worker_;
    };

    Borrowed borrow() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Worker& worker = *idle_.back();
                idle_.pop_back();
                return {*this, worker};
            }
        }
        auto fresh = make_();  // outside the lock, because it may take long
        Worker& worker = *fresh;
        const std::lock_guard lock(mutex_);
        workers_.push_back(std::move(fresh));
        idle_.reserve(workers_.size());  // so that give_back never throws
        return {*this, worker};
    }

    // All workers; must be called when no item is running.
    const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }

  private:
    void give_back(Worker& worker) noexcept {
        const std::lock_guard lock(mutex_);
        idle_.push_back(&worker);
    }

    std::function<std::unique_ptr<Worker>()> make_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Worker*> idle_;
};

}  // namespace nnth
