#pragma once

namespace haft {

// What to do with a mount that is in use: fail, or detach it now and end it when it is free.
enum class UnmountHow { kUnlessBusy, kLazily };

}  // namespace haft
