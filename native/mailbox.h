// What pool threads have for the JavaScript thread: finished ranges, events, results of promises.
// One uv_async_t wakes the loop, which takes everything in one go per turn; a thread-safe function
// would run one callback an item and starve timers.

#pragma once

#include <node_api.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "arena.h"
#include "record.h"

namespace keyplane {

struct Finished {
  std::shared_ptr<Arena> arena;
  std::uint32_t first;
  std::uint32_t count;
  Kind kind;
};

struct Notice {
  Event event;
  double a;
  double b;
};

// Settles the promise of a task; runs on the JavaScript thread.
struct TaskResult {
  std::uint32_t task;
  std::function<void(napi_env env, napi_deferred deferred)> settle;
  // The ranges put before it, counted from the first of the mailbox; filled in there.
  std::uint64_t num_before = 0;
};

struct Mail {
  std::vector<Finished> finished;
  std::vector<Notice> notices;
  std::vector<TaskResult> results;
};

class Mailbox {
 public:
  // `async` is the loop's until Close.
  explicit Mailbox(uv_async_t* async) : async_(async) {}

  void Post(std::vector<Finished>&& finished);
  void Post(Notice notice);
  void Post(TaskResult result);
  // The two halves of Post, for who holds a lock that the loop may want as soon as it wakes. If Put
  // returns true, Wake must follow.
  bool Put(std::vector<Finished>&& finished);
  void Wake();

  // On the JavaScript thread. Takes at most `max_finished` ranges, and wakes the loop again for the
  // rest. A result comes with or after all ranges that were put before it: who closes a pool is
  // told of every record by then.
  void Take(Mail& mail, std::size_t max_finished);
  // What comes later is dropped.
  void Close();

 private:
  std::mutex mutex_;
  bool closed_ = false;
  // The loop will look, or someone is about to wake it.
  bool awake_ = false;
  Mail mail_;
  // Ranges taken so far.
  std::uint64_t num_taken_ = 0;
  // Waking takes longer than anything else here, and the loop must not find `mutex_` taken then.
  std::mutex async_mutex_;
  uv_async_t* async_;
};

}  // namespace keyplane
