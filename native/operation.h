// One record through one session: the calls of PKCS#11, what their answer means for the session,
// and checks of what came back.

#pragma once

#include <pkcs11/pkcs11.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "function.h"
#include "job.h"
#include "module.h"
#include "pin_desk.h"
#include "secret_bytes.h"

namespace keyplane {

// A session of one thread. Only that thread makes calls on it, one operation at a time.
struct Session {
  CK_SESSION_HANDLE handle = 0;
  bool open = false;
  // The login epoch it was opened in.
  std::uint32_t epoch = 0;
  // An operation is still active, or its state is unknown: it must be replaced before it is used.
  bool spoilt = false;
  // The message operation that is set up (PKCS #11 3.0), by key and direction; null when none is.
  const Key* message_key = nullptr;
  // Tells it from a later key at the same address.
  std::uint32_t message_ref = 0;
  std::uint8_t message_op = 0;
  std::uint32_t num_messages = 0;
};

// What a thread lends to the operations it runs.
struct Tools {
  Module& module;
  // Asks for a PIN for one operation (CKU_CONTEXT_SPECIFIC); null when nobody answers.
  std::function<std::shared_ptr<Pin>()> ask_pin;
  // Set when a module takes CK_GCM_PARAMS without ulIvBits alone.
  std::atomic<bool>& short_gcm;
  // For what can't be written to the arena directly.
  SecretBytes scratch;
};

// What to do with the session and the job after an answer.
enum class Next : std::uint8_t {
  // The session is in order.
  kSettle,
  // The session is not; another one may serve the job.
  kReplace,
  // The session, the login or a handle is gone: the pool has to look.
  kRecover,
  // Someone else took the job meanwhile, and the session has an operation active.
  kAbandon,
};

struct Answer {
  CK_RV ckr = CKR_OK;
  Function function = Function::kNone;
  Reason reason = Reason::kNone;
  Next next = Next::kSettle;
  std::uint32_t output_len = 0;
  // The module may have done the work although it failed.
  bool may_be_done = false;
};

// Runs a job that is kRunning. The record's slot is not touched, its data ranges are.
Answer RunJob(Tools& tools, Session& session, Job& job, Arena& arena);

// Tells what an error says about session and login.
Next Judge(CK_RV ckr);

}  // namespace keyplane
