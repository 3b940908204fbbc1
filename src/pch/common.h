// Precompiled for every module: what nearly every file includes anyway. It only saves time: each
// file still includes what it uses (the sanitizer and fuzz builds do without it).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
