// Objects with memory of their own that the items of a parallel loop use one after another.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace nnth {

// As many workers are made as items are in work at the same time. An item borrows one and finds it
// as an earlier item, of any thread, has left it.
template <class Worker>
class WorkerPool {
  public:
    explicit WorkerPool(std::function<std::unique_ptr<Worker>()> make) : make_(std::move(make)) {}

    // Goes back to the pool at its end.
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
        auto fresh = make_();  // outside the lock: it may take long
        Worker& worker = *fresh;
        const std::lock_guard lock(mutex_);
        workers_.push_back(std::move(fresh));
        idle_.reserve(workers_.size());  // so that giving back never throws
        return {*this, worker};
    }

    // All that were made; for when no item is in work.
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
