// Work in flight: the checked copy of a record, and who may still settle it.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "arena.h"
#include "key.h"
#include "record.h"

namespace keyplane {

// Whoever moves a job on owns what follows: a job is settled by the one thread that takes it out of
// kQueued or kRunning, and its slot is free once it is kDone.
enum class JobState : std::uint8_t { kQueued, kRunning, kAbandoned, kDone };

struct Job {
  // A copy: JavaScript may write to the slot at any time.
  Record record;
  std::uint32_t index;
  Class job_class;
  // The record passed CheckRecord.
  bool valid;
  bool retried;
  // Bits of Result for the record.
  std::uint8_t result;
  Key* key;
  std::atomic<JobState> state;

  bool Take(JobState from, JobState to) {
    return state.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
};

// The jobs of one call of submit.
struct Batch {
  Batch(std::shared_ptr<Arena> its_arena, std::uint32_t num_jobs)
      : arena(std::move(its_arena)), count(num_jobs), jobs(new Job[num_jobs]) {}

  std::shared_ptr<Arena> arena;
  std::uint32_t count;
  std::uint32_t submitted_ms = 0;
  std::unique_ptr<Job[]> jobs;
};

// Jobs begin..end of a batch.
struct Range {
  std::shared_ptr<Batch> batch;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  std::uint32_t size() const { return end - begin; }
};

// Copies a record and checks it alone: numbers known, ranges inside the arena, lengths that its
// mechanism can have. Returns false for a record that must not run.
bool CheckRecord(const Arena& arena, const Record& record);

// Returns the class of a record; an RSA or EC mechanism tells, whatever the key is.
Class ClassOf(const Record& record);

}  // namespace keyplane
