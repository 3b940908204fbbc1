// Reading made zips: what is in their directory, or why they are refused.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "haft/archive/zip_directory.h"
#include "support/expect.h"
#include "zip_maker.h"

namespace haft::testing {

inline Result<ZipDirectory> Read(const MadeZip& zip) {
  UniqueFd fd = ZipFd(zip.Bytes());
  return ZipDirectory::Read(fd.get(), "t.zip");
}

// Its directory; the test fails if it is refused.
inline ZipDirectory Accept(const MadeZip& zip) {
  return Expect(Read(zip));
}

// Fails unless it is refused with this message.
inline void Refuse(const MadeZip& zip, std::string_view message) {
  auto directory = Read(zip);
  ASSERT_FALSE(directory) << "accepted, expected: " << message;
  EXPECT_EQ(directory.error().message(), message);
}

// The zip of one entry.
inline MadeZip One(MadeEntry entry) {
  return ZipOf({std::move(entry)});
}

inline MadeEntry Plain(std::string name = "a.py") {
  return {.name = std::move(name), .data = "print()\n"};
}

}  // namespace haft::testing
