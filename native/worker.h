// A thread of a pool that runs records, on a session of its own.

#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <vector>

#include "job.h"
#include "mailbox.h"
#include "operation.h"

namespace keyplane {

// Guarded by the mutex of the pool, but for what is atomic and what is the thread's own: its
// session and, while `hand` says so, what it has finished and counted.
struct Worker {
  std::condition_variable wake;
  bool woken = false;
  bool retire = false;
  // In a module call or between those of one chunk.
  bool busy = false;
  // Opens, replaces or closes its session, apart from any chunk.
  bool in_session_call = false;
  bool zombie = false;
  Class job_class = kSym;
  Range chunk;
  // The job of the chunk that runs, and since when.
  std::atomic<std::uint32_t> position = 0;
  std::atomic<std::uint32_t> since_ms = 0;
  // The rest of the chunk went back to the queue.
  std::atomic<bool> stolen = false;
  Session session;
  std::uint32_t num_failures = 0;
  std::uint32_t replaced_ms = 0;
  // So long in one call that it does not count as one of those that the governor allows.
  bool stuck = false;
  // Of the chunk that runs. The monitor takes what is finished while the worker is in the module.
  enum class Hand : std::uint8_t { kWorker, kModule, kMonitor };
  std::atomic<Hand> hand = Hand::kWorker;
  std::vector<Finished> finished;
  // How long what is finished and not told of took, in microseconds.
  double held_us = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// Threads that are to take up work. Where much is in hand, notify them without the lock: one that
// finds it taken goes back to sleep. They are shared, since a thread may have ended by then.
struct Woken {
  std::array<std::shared_ptr<Worker>, 2> workers;

  void Notify() const {
    for (const auto& worker : workers) {
      if (worker != nullptr) worker->wake.notify_one();
    }
  }
};

// What came of a chunk.
struct ChunkDone {
  std::uint32_t num_run = 0;
  std::uint64_t wall_ns = 0;
  // 0 when it was not measured.
  std::uint64_t cpu_ns = 0;
  // What goes back to the queue.
  Range rest;
};

}  // namespace keyplane
