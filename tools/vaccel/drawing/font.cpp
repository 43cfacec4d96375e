// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/font.h"

#include <algorithm>
#include <string>

#include "tools/vaccel/utf8.h"

namespace vaccel::tool {
namespace {

constexpr double kLetterGap = 2.2;
constexpr double kSpace = 3;

// Lines, separated by spaces; each is points of two hexadecimal digits, x and y. Capitals stand between y = 0 and 8, small
// letters begin at 3, and go down to b.
constexpr const char* kGlyphs[] = {
    "",                                       // space
    "0005 08",                                // !
    "0002 2022",                              // "
    "1117 3137 0343 0545",                    // #
    "514010010314445557481807 3038",          // $
    "5018 0020220200 4666684846",             // %
    "5813112031320507183855",                 // &
    "0002",                                   // '
    "20020729",                               // (
    "00222709",                               // )
    "2126 0245 4205",                         // *
    "0545 2327",                              // +
    "1709",                                   // ,
    "0535",                                   // -
    "08",                                     // .
    "0940",                                   // /
    "100107183847413010",                     // 0
    "022028 0848",                            // 1
    "01103041430848",                         // 2
    "01103041433414 344547381807",            // 3
    "38300555",                               // 4
    "400003334447381807",                     // 5
    "413010010718384745341405",               // 6
    "004018",                                 // 7
    "100103143443413010 140507183847453414",  // 8
    "071838474130100103143443",               // 9
    "04 08",                                  // :
    "14 1709",                                // ;
    "320538",                                 // <
    "0444 0646",                              // =
    "023508",                                 // >
    "01103041422425 28",                      // ?
    "46262343466562501002071858",             // @
    "083068 1555",                            // A
    "080040515344 0444 4455574808",           // B
    "5140100107184857",                       // C
    "00083856523000",                         // D
    "50000858 0444",                          // E
    "500008 0444",                            // F
    "51401001071848575434",                   // G
    "0008 5058 0454",                         // H
    "0008",                                   // I
    "4047381807",                             // J
    "0008 5005 2358",                         // K
    "000848",                                 // L
    "0800346068",                             // M
    "08005850",                               // N
    "100107184857514010",                     // O
    "08004051534404",                         // P
    "100107184857514010 3658",                // Q
    "08004051534404 2458",                    // R
    "514010010314445557481807",               // S
    "0060 3038",                              // T
    "000718485750",                           // U
    "003860",                                 // V
    "0028426880",                             // W
    "0058 5008",                              // X
    "003460 3438",                            // Y
    "00500858",                               // Z
    "20000929",                               // [
    "0049",                                   // backslash
    "00202909",                               // ]
    "022042",                                 // ^
    "0949",                                   // _
    "0012",                                   // `
    "13334448 45150607183847",                // a
    "0008 0413334447381807",                  // b
    "4433130407183847",                       // c
    "4048 4433130407183847",                  // d
    "05454433130407183847",                   // e
    "30201118 0333",                          // f
    "434a3b1b0a 4433130407183847",            // g
    "0008 0413334448",                        // h
    "0308 01",                                // i
    "131a0b 11",                              // j
    "0008 4306 2548",                         // k
    "000718",                                 // l
    "0308 0413233438 3443536468",             // m
    "0308 0413334448",                        // n
    "130407183847443313",                     // o
    "030b 0413334447381807",                  // p
    "434b 4433130407183847",                  // q
    "0308 05142333",                          // r
    "44331304153647381807",                   // s
    "11172838 0333",                          // t
    "0307183847 4348",                        // u
    "032843",                                 // v
    "0328344863",                             // w
    "0348 4308",                              // x
    "0328 431b0b",                            // y
    "03430848",                               // z
    "20111405161829",                         // {
    "000a",                                   // |
    "00111425161809",                         // }
    "05143544",                               // ~
};
constexpr const char* kBox = "0008484000";

const char* glyph_of(char32_t character) {
  return character >= ' ' && character <= '~' ? kGlyphs[character - ' '] : kBox;
}

double digit(char character) {
  return character <= '9' ? character - '0' : character - 'a' + 10;
}

double width_of(std::string_view glyph) {
  if (glyph.empty()) return kSpace;
  double width = 0;
  for (size_t index = 0; index < glyph.size(); index += 2) {
    if (glyph[index] == ' ') ++index;
    width = std::max(width, digit(glyph[index]));
  }
  return width;
}

void add_strokes(std::string_view glyph, double x, std::vector<std::vector<Point>>& lines) {
  if (!glyph.empty()) lines.emplace_back();
  for (size_t index = 0; index < glyph.size(); index += 2) {
    if (glyph[index] == ' ') {
      lines.emplace_back();
      ++index;
    }
    lines.back().push_back({x + digit(glyph[index]), digit(glyph[index + 1])});
  }
}

// Calls `use` with each character's glyph, and where it begins. @return where the last one ends.
template <typename Use>
double for_each_glyph(std::string_view text, Use use) {
  double x = 0;
  double end = 0;
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    const std::string_view glyph = glyph_of(next.valid ? next.value : 0);
    use(glyph, x);
    end = x + width_of(glyph);
    x = end + kLetterGap;
    text.remove_prefix(next.bytes);
  }
  return end;
}

}  // namespace

std::vector<std::vector<Point>> strokes(std::string_view text) {
  std::vector<std::vector<Point>> lines;
  for_each_glyph(text, [&](std::string_view glyph, double x) { add_strokes(glyph, x, lines); });
  return lines;
}

double stroke_width(std::string_view text) {
  return for_each_glyph(text, [](std::string_view, double) {});
}

}  // namespace vaccel::tool
