# zip.h's error codes, each with its class (N, S or Z) and text in a comment, as the two tables zip_error.c reads.
BEGIN { print "#include \"zipint.h\"" }
/^#define ZIP_ER_[A-Z_]+ [0-9]+ / {
  text = $0
  sub(/^.*\/\* */, "", text)
  sub(/ *\*\/.*$/, "", text)
  class = class "  " (text ~ /^S / ? "ZIP_ET_SYS" : text ~ /^Z / ? "ZIP_ET_ZLIB" : "ZIP_ET_NONE") ",\n"
  sub(/^[NSZ] +/, "", text)
  table = table "  \"" text "\",\n"
}
END {
  printf "const char *const _zip_err_str[] = {\n%s};\n", table
  print "const int _zip_nerr_str = sizeof(_zip_err_str) / sizeof(_zip_err_str[0]);"
  printf "const int _zip_err_type[] = {\n%s};\n", class
}
