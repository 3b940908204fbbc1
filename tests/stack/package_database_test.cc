#include "package_database.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Expect;

TEST(PackageDatabaseTest, ReadsLicencesOfAMachineReadableFile) {
  EXPECT_EQ(
      LicensesIn(
          "Format: https://example.org/1.0\n\nFiles: *\nLicense: GPL-2+ \n text License: no\n\n"
          "Files: debian/*\nLicense: GPL-2+\n\nLicense: LGPL-2.1\n text\nLicense:\n"),
      "GPL-2+, LGPL-2.1");
  EXPECT_EQ(LicensesIn("This package is free.\nLicense: GPL"), "");
  EXPECT_EQ(LicensesIn(""), "");
}

TEST(PackageDatabaseTest, KnowsWhoOwnsFilesOfThisHost) {
  if (::access("/usr/bin/dpkg-query", X_OK) != 0) GTEST_SKIP() << "no dpkg";
  // Once as packages with and without merged /usr name it, and files nobody owns.
  auto database = Expect(
      PackageDatabase::Query({"/usr/bin/dpkg", "/usr/bin/bash", "/etc/hostname-of-nobody", "-x"}));
  EXPECT_EQ(database.OwnerOf("/usr/bin/dpkg"), "dpkg");
  EXPECT_EQ(database.OwnerOf("/usr/bin/bash"), "bash");
  EXPECT_EQ(database.OwnerOf("/etc/hostname-of-nobody"), "");
  EXPECT_NE(database.packages().at("dpkg").version, "");
  EXPECT_TRUE(Expect(PackageDatabase::Query({})).packages().empty());
}

}  // namespace
}  // namespace haft
