#include "pin_desk.h"

#include <chrono>
#include <utility>

namespace keyplane {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

std::shared_ptr<Pin> PinDesk::Ask(const std::function<void()>& ask) {
  std::unique_lock lock(mutex_);
  if (closed_) return nullptr;
  const std::uint64_t seen = num_answers_;
  if (num_waiting_++ == 0) ask();
  answered_.wait_for(lock, kPatience, [&] { return closed_ || num_answers_ != seen; });
  std::shared_ptr<Pin> pin = num_answers_ != seen ? answer_ : nullptr;
  if (--num_waiting_ == 0) answer_.reset();
  return pin;
}

void PinDesk::Provide(Pin pin) {
  std::lock_guard lock(mutex_);
  if (num_waiting_ == 0) return;
  answer_ = std::make_shared<Pin>(std::move(pin));
  ++num_answers_;
  answered_.notify_all();
}

void PinDesk::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  answered_.notify_all();
}

}  // namespace keyplane
