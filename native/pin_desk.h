// Where threads ask for a PIN and JavaScript brings one. PINs are kept no longer than the login.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "secret_bytes.h"

namespace keyplane {

struct Pin {
  bool refused = true;
  // No bytes: the token asks for the PIN itself (CKF_PROTECTED_AUTHENTICATION_PATH).
  bool none = false;
  SecretBytes bytes;
};

class PinDesk {
 public:
  // Waits until Provide or Close. `ask` is called when nobody else is waiting. Returns null when
  // nobody answered.
  std::shared_ptr<Pin> Ask(const std::function<void()>& ask);
  void Provide(Pin pin);
  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  std::uint32_t num_waiting_ = 0;
  std::uint64_t num_answers_ = 0;
  bool closed_ = false;
  std::shared_ptr<Pin> answer_;
};

}  // namespace keyplane
