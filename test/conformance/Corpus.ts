/**
 * Messages that two recipients could read differently, or that none should accept, each with the
 * rule it breaks. One list for every way such bytes can come: the readers alone, and through a mesh
 * by Host, absolute-form and a fixed port. Sources: RFC 9112 §11.2 and the published attack classes
 * (CL.TE, TE.CL, TE.TE, CL.0, header folding, chunk extensions, chunk-size overflow, bare line ends,
 * request-line and Host confusion, trailers).
 */

/** What an attacker would slip in. It must never come out as a request. */
export const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

/** A request with these header lines (besides Host) and body. */
const post = (lines: string, body = ""): string =>
  `POST / HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n\r\n${body}`
const chunked = (body: string): string => post("Transfer-Encoding: chunked", body)
const get = (lines: string): string => `GET / HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n\r\n`
const line = (start: string): string => `${start}\r\nHost: a.mesh\r\n\r\n`

export type Case = readonly [name: string, bytes: string, rule: string]

const lengths: ReadonlyArray<Case> = [
  ["CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"), "both_lengths"],
  [
    "TE.CL",
    post("Transfer-Encoding: chunked\r\nContent-Length: 3", "1\r\nA\r\n0\r\n\r\n"),
    "both_lengths"
  ],
  [
    "CL.TE with equal ends",
    post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    "both_lengths"
  ],
  [
    "two different lengths",
    post("Content-Length: 0\r\nContent-Length: 44", smuggled),
    "duplicate_content_length"
  ],
  [
    "two equal lengths",
    post("Content-Length: 3\r\nContent-Length: 3", "abc"),
    "duplicate_content_length"
  ],
  [
    "two lengths, names in different case",
    post("content-length: 3\r\nCONTENT-LENGTH: 4", "abcd"),
    "duplicate_content_length"
  ],
  ["list of equal lengths", post("Content-Length: 3, 3", "abc"), "bad_content_length"],
  ["list of lengths", post("Content-Length: 3, 4", "abcd"), "bad_content_length"],
  ["list of three equal lengths", post("Content-Length: 3,3, 3", "abc"), "bad_content_length"],
  ["minus zero", post("Content-Length: -0", ""), "bad_content_length"],
  ["octal length", post("Content-Length: 0o3", "abc"), "bad_content_length"],
  ["length with plus", post("Content-Length: +3", "abc"), "bad_content_length"],
  ["length with minus", post("Content-Length: -1", "abc"), "bad_content_length"],
  ["hexadecimal length", post("Content-Length: 0x3", "abc"), "bad_content_length"],
  ["hexadecimal digits", post("Content-Length: a", "abcdefghij"), "bad_content_length"],
  ["exponent", post("Content-Length: 1e1", "abcdefghij"), "bad_content_length"],
  ["fraction", post("Content-Length: 3.0", "abc"), "bad_content_length"],
  ["digit separator", post("Content-Length: 1_0", "abcdefghij"), "bad_content_length"],
  ["blank within the length", post("Content-Length: 1 0", "abcdefghij"), "bad_content_length"],
  ["empty length", post("Content-Length: ", "abc"), "bad_content_length"],
  ["no value at all", post("Content-Length:", "abc"), "bad_content_length"],
  ["quoted length", post('Content-Length: "3"', "abc"), "bad_content_length"],
  ["length over 2^53", post("Content-Length: 9007199254740992"), "bad_content_length"],
  ["length over 2^64", post("Content-Length: 18446744073709551619", "abc"), "bad_content_length"],
  ["tab after the length", post("Content-Length: 3\t", "abc"), "bad_content_length"],
  ["17 digits", post("Content-Length: 00000000000000003", "abc"), "bad_content_length"],
  ["superscript digit", post("Content-Length: \xb3", "abc"), "bad_content_length"],
  ["NBSP before the length", post("Content-Length: \xa03", "abc"), "bad_content_length"]
]

const codings: ReadonlyArray<Case> = [
  [
    "chunked twice",
    post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "two fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "two fields, the second unknown",
    post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "two fields, the first unknown",
    post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["chunked not last", post("Transfer-Encoding: chunked, gzip"), "bad_transfer_encoding"],
  ["gzip, chunked", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), "unsupported_coding"],
  ["gzip alone", post("Transfer-Encoding: gzip"), "bad_transfer_encoding"],
  ["identity", post("Transfer-Encoding: identity", "abc"), "bad_transfer_encoding"],
  [
    "identity with length",
    post("Content-Length: 3\r\nTransfer-Encoding: identity", "abc"),
    "bad_transfer_encoding"
  ],
  ["prefix of chunked", post("Transfer-Encoding: chunke", "0\r\n\r\n"), "bad_transfer_encoding"],
  ["more than chunked", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), "bad_transfer_encoding"],
  ["quoted", post('Transfer-Encoding: "chunked"', "0\r\n\r\n"), "bad_transfer_encoding"],
  ["parameter", post("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"), "bad_transfer_encoding"],
  ["empty", post("Transfer-Encoding: ", "0\r\n\r\n"), "bad_transfer_encoding"],
  ["semicolon after it", post("Transfer-Encoding: chunked;", "0\r\n\r\n"), "bad_transfer_encoding"],
  [
    "chunked and identity",
    post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "byte over 127 after it",
    post("Transfer-Encoding: chunked\xff", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["form feed before it", post("Transfer-Encoding: \x0cchunked", "0\r\n\r\n"), "bad_field_value"],
  [
    "empty member behind",
    post("Transfer-Encoding: chunked,", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["empty member", post("Transfer-Encoding: , chunked", "0\r\n\r\n"), "bad_transfer_encoding"],
  [
    "vertical tab before the value",
    post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
    "bad_field_value"
  ],
  [
    "tab before the value",
    post("Transfer-Encoding:\tchunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "tab after the value",
    post("Transfer-Encoding: chunked \t ", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["NUL after the value", post("Transfer-Encoding: chunked\0", "0\r\n\r\n"), "bad_field_value"],
  [
    "NBSP before the value",
    post("Transfer-Encoding: \xa0chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["folded", post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), "bad_transfer_encoding"],
  ["folded after the value", post("Transfer-Encoding: chunked\r\n , x", "0\r\n\r\n"), "obs_fold"],
  [
    "folded after a comma",
    post("Transfer-Encoding: x,\r\n\tchunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "in HTTP/1.0",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer_encoding_in_http10"
  ],
  [
    "in HTTP/1.0 with a length",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "transfer_encoding_in_http10"
  ]
]

const names: ReadonlyArray<Case> = [
  ["blank before the colon", post("Content-Length : 3", "abc"), "space_before_colon"],
  ["tab before the colon", post("Transfer-Encoding\t: chunked", "0\r\n\r\n"), "space_before_colon"],
  ["blank within the name", post("Content Length: 3", "abc"), "space_before_colon"],
  ["blank before the first name", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "space_before_name"],
  ["tab before the first name", "GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n", "space_before_name"],
  ["blank line that is not empty", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", "obs_fold"],
  ["folded value", get("X: a\r\n b"), "obs_fold"],
  ["folded by tab", get("X: a\r\n\tb"), "obs_fold"],
  ["no colon", get("Content-Length"), "missing_colon"],
  [
    "line end before the colon",
    post("Transfer-Encoding\r\n: chunked", "0\r\n\r\n"),
    "missing_colon"
  ],
  ["comma in the name", get("Content-Length,X: 3"), "bad_field_name"],
  ["vertical tab before the colon", get("Transfer-Encoding\x0b: chunked"), "bad_field_name"],
  ["empty name", get(": value"), "bad_field_name"],
  ["NUL in the name", get("Content-Length\0: 3"), "bad_field_name"],
  ["control byte in the name", get("Content-\x01Length: 3"), "bad_field_name"],
  ["DEL in the name", get("X\x7f: 3"), "bad_field_name"],
  ["byte over 127 in the name", get("Transfer-Encod\xefng: chunked"), "bad_field_name"],
  ["NBSP after the name", get("Content-Length\xa0: 3"), "bad_field_name"],
  ["parenthesis in the name", get("X(y): 3"), "bad_field_name"],
  ["slash in the name", get("X/y: 3"), "bad_field_name"],
  ["quote in the name", get('"X": 3'), "bad_field_name"],
  ["NUL in a value", get("X: a\0b"), "bad_field_value"],
  ["escape in a value", get("X: a\x1bb"), "bad_field_value"],
  ["DEL in a value", get("X: a\x7fb"), "bad_field_value"],
  ["form feed in a value", get("X: a\fb"), "bad_field_value"]
]

const lineEnds: ReadonlyArray<Case> = [
  ["LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "bare_lf"],
  ["LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "bare_lf"],
  ["LF in a value hides a field", get("X: y\nTransfer-Encoding: chunked"), "bare_lf"],
  ["LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", "bare_lf"],
  ["LF alone everywhere", "GET / HTTP/1.1\nHost: a\n\n", "bare_lf"],
  ["LF after a name", get("X\n: y"), "bare_lf"],
  ["LF in the target", "GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", "bare_lf"],
  ["LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare_lf"],
  ["CR in a value hides a field", get("X: y\rTransfer-Encoding: chunked"), "bare_cr"],
  ["CR after a name", get("X\r: y"), "bare_cr"],
  ["CR CR LF after a value", get("X: y\r"), "bare_cr"],
  ["CR in the request line", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", "bare_cr"],
  ["CR before the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", "bare_cr"],
  ["CR before the request", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare_cr"],
  ["two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad_method"]
]

const requestLines: ReadonlyArray<Case> = [
  ["line of blanks", "   \r\n\r\n", "bad_method"],
  ["words before the method", "Extra lineGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad_version"],
  ["no version, but a blank for it", line("GET / "), "bad_version"],
  ["overlong slash in the target", line("GET /\xc0\xaf HTTP/1.1"), "bad_target"],
  ["blank before the method", line(" GET / HTTP/1.1"), "bad_method"],
  ["TLS handshake", "\x16\x03\x01\x02\0\x01", "bad_method"],
  ["byte over 127 in the method", line("G\xcbT / HTTP/1.1"), "bad_method"],
  ["colon in the method", line("GET: / HTTP/1.1"), "bad_method"],
  ["tab after the method", line("GET\t/ HTTP/1.1"), "bad_method"],
  ["method alone", line("GET"), "bad_method"],
  ["two blanks after the method", line("GET  / HTTP/1.1"), "bad_target"],
  ["two blanks after the target", line("GET /  HTTP/1.1"), "bad_version"],
  ["blank in the target", line("GET /a b HTTP/1.1"), "bad_version"],
  ["blank after the version", line("GET / HTTP/1.1 "), "bad_version"],
  ["tab in the target", line("GET /a\tb HTTP/1.1"), "bad_target"],
  ["NUL in the target", line("GET /a\0b HTTP/1.1"), "bad_target"],
  ["byte over 127 in the target", line("GET /caf\xe9 HTTP/1.1"), "bad_target"],
  ["fragment", line("GET /a#b HTTP/1.1"), "bad_target"],
  ["no target", line("GET HTTP/1.1"), "bad_version"],
  ["no version", line("GET /"), "bad_version"],
  ["HTTP/0.9", "GET /\r\n\r\n", "bad_version"],
  ["HTTP/2.0 in text", line("GET / HTTP/2.0"), "unsupported_version"],
  ["HTTP/9.9", line("GET / HTTP/9.9"), "unsupported_version"],
  ["method of the HTTP/2 preface", line("PRI / HTTP/1.1"), "unsupported_version"],
  ["version without minor", line("GET / HTTP/1"), "bad_version"],
  ["blank in the version", line("GET / HTTP/ 1.1"), "bad_version"],
  ["HTTP/1.10", line("GET / HTTP/1.10"), "bad_version"],
  ["HTTP/01.1", line("GET / HTTP/01.1"), "bad_version"],
  ["lower-case version", line("GET / http/1.1"), "bad_version"],
  ["other protocol", line("GET / ICY/1.1"), "bad_version"],
  ["relative target", line("GET admin HTTP/1.1"), "bad_target"],
  ["query only", line("GET ?x HTTP/1.1"), "bad_target"],
  ["asterisk for GET", line("GET * HTTP/1.1"), "bad_target"],
  ["authority for GET", line("GET a.mesh:80 HTTP/1.1"), "bad_target"],
  ["https target", line("GET https://a.mesh/ HTTP/1.1"), "unsupported_scheme"],
  ["file target", line("GET file://a.mesh/ HTTP/1.1"), "unsupported_scheme"],
  ["scheme without slashes", line("GET http:a.mesh/ HTTP/1.1"), "bad_target"],
  ["userinfo in the target", line("GET http://b.mesh@a.mesh/ HTTP/1.1"), "bad_authority"],
  ["empty authority in the target", line("GET http:///x HTTP/1.1"), "bad_authority"],
  ["backslash in the target's authority", line("GET http://a.mesh\\@b/ HTTP/1.1"), "bad_target"],
  ["encoded authority", line("GET http://a%2emesh/ HTTP/1.1"), "bad_authority"],
  ["port over 65535 in the target", line("GET http://a.mesh:65536/ HTTP/1.1"), "bad_authority"],
  ["port 0 in the target", line("GET http://a.mesh:0/ HTTP/1.1"), "bad_authority"],
  ["backslash in the path", line("GET /a\\..\\admin HTTP/1.1"), "bad_target"],
  ["backslash before the query", line("GET /a\\?b HTTP/1.1"), "bad_target"],
  ["backslash in the target's path", line("GET http://a.mesh/\\b HTTP/1.1"), "bad_target"],
  ["CONNECT with an empty port", line("CONNECT a.mesh: HTTP/1.1"), "bad_target"],
  ["CONNECT to port 0", line("CONNECT a.mesh:0 HTTP/1.1"), "bad_target"],
  ["CONNECT to a port over 65535", line("CONNECT a.mesh:99999 HTTP/1.1"), "bad_target"],
  ["CONNECT to a port with letters", line("CONNECT a.mesh:http HTTP/1.1"), "bad_target"],
  ["CONNECT without port", line("CONNECT a.mesh HTTP/1.1"), "bad_target"],
  ["CONNECT to a path", line("CONNECT / HTTP/1.1"), "bad_target"],
  ["CONNECT to a URL", line("CONNECT http://a.mesh:80/ HTTP/1.1"), "bad_target"],
  [
    "CONNECT with a length",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "body_in_connect"
  ],
  [
    "CONNECT with chunks",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "body_in_connect"
  ]
]

const hosts: ReadonlyArray<Case> = [
  ["none", "GET / HTTP/1.1\r\n\r\n", "missing_host"],
  ["none, absolute target", "GET http://a.mesh/ HTTP/1.1\r\n\r\n", "missing_host"],
  ["two", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "duplicate_host"],
  ["two equal", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "duplicate_host"],
  ["two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "duplicate_host"],
  ["list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "bad_host"],
  ["list without blank", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "bad_host"],
  ["query", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "bad_host"],
  ["backslash", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "bad_host"],
  ["blank within", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad_host"],
  ["path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad_host"],
  ["userinfo", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", "bad_host"],
  ["URL", "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "bad_host"],
  ["port with letters", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", "bad_host"],
  ["port over 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "bad_host"],
  ["port that wraps to 80", "GET / HTTP/1.1\r\nHost: a:4294967376\r\n\r\n", "bad_host"],
  ["port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "bad_host"],
  ["two ports", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", "bad_host"],
  ["port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "bad_host"],
  ["percent-encoded", "GET / HTTP/1.1\r\nHost: a%00b\r\n\r\n", "bad_host"],
  ["byte over 127", "GET / HTTP/1.1\r\nHost: \xe4.mesh\r\n\r\n", "bad_host"],
  ["IPv6 without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "bad_host"],
  ["bracket not closed", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "bad_host"],
  [
    "bad Host beside an absolute target",
    "GET http://a.mesh/ HTTP/1.1\r\nHost: a b\r\n\r\n",
    "bad_host"
  ],
  ["NBSP after a connection option", get("Connection: close\xa0"), "bad_connection"],
  ["connection option that is no name", get("Connection: close; x"), "bad_connection"],
  ["a deadline in words", get("skein-deadline: soon"), "bad_call_field"],
  ["a list of deadlines", get("skein-deadline: 1, 2"), "bad_call_field"],
  ["a negative attempt", get("Skein-Attempt: -1"), "bad_call_field"]
]

const chunks: ReadonlyArray<Case> = [
  ["empty size", chunked("\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["extension without size", chunked(";a=b\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["plus zero", chunked("+0\r\n\r\n"), "bad_chunk_size"],
  ["plus", chunked("+3\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["minus", chunked("-1\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["digit separator", chunked("1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["blank before the size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["blank after the size", chunked("3 \r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["tab after the size", chunked("3\t\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["NUL after the size", chunked("3\0\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["no hexadecimal digit", chunked("3g\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["17 digits", chunked("00000000000000003\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["over 2^53", chunked("20000000000000\r\nabc"), "bad_chunk_size"],
  ["wraps 64 bits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["LF after the size", chunked("3\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["CR alone after the size", chunked("3\rabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["LF after an extension", chunked("3;a\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["LF hides a chunk in an extension", chunked("3;a=b\nxxx\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["CR in an extension", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["extension without name", chunked("3;\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["extension without value", chunked("3;a=\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["blank in an extension", chunked("3;a b\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["blank within the size", chunked("1 0;a\r\n0123456789abcdef\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["blanks before LF", chunked("3 \nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["CR in blanks", chunked("3 \r;a\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["NBSP before an extension", chunked("3\xa0;a\r\nabc\r\n0\r\n\r\n"), "bad_chunk_size"],
  ["blank after an extension", chunked("3;a \r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["tab after a value", chunked("3;a=b\t\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["blank after a quoted value", chunked('3;a="b" \r\nabc\r\n0\r\n\r\n'), "bad_chunk_extension"],
  ["LF after a blank in an extension", chunked("3;a= \nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  [
    "CR after a blank in an extension",
    chunked("3; \ra\r\nabc\r\n0\r\n\r\n"),
    "bad_chunk_extension"
  ],
  ["form feed in an extension", chunked("3;\x0ca\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["bracket in an extension", chunked("3;[\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["blanks and no name", chunked("3; ;a\r\nabc\r\n0\r\n\r\n"), "bad_chunk_extension"],
  ["quoted value not closed", chunked('3;a="b\r\nabc\r\n0\r\n\r\n'), "bad_chunk_extension"],
  ["bytes after a quoted value", chunked('3;a="b"c\r\nabc\r\n0\r\n\r\n'), "bad_chunk_extension"],
  ["NUL in a quoted value", chunked('3;a="\0"\r\nabc\r\n0\r\n\r\n'), "bad_chunk_extension"],
  ["data longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), "bad_chunk_end"],
  ["data shorter than its size", chunked("5\r\nabc\r\n0\r\n\r\n"), "bad_chunk_end"],
  ["LF after the data", chunked("3\r\nabc\n0\r\n\r\n"), "bad_chunk_end"],
  ["CR alone after the data", chunked("3\r\nabc\r0\r\n\r\n"), "bad_chunk_end"],
  ["LF after the last chunk", chunked("0\n\r\n"), "bad_chunk_size"],
  ["LF ends the trailers", chunked("0\r\n\n"), "bare_lf"],
  ["CR alone after the last chunk", chunked("0\r\n\rX"), "bare_cr"]
]

const trailers: ReadonlyArray<Case> = [
  ["folded", chunked("0\r\nX: a\r\n b\r\n\r\n"), "obs_fold"],
  ["blank before the first", chunked("0\r\n X: a\r\n\r\n"), "space_before_name"],
  ["blank before the colon", chunked("0\r\nX : a\r\n\r\n"), "space_before_colon"],
  ["NUL in a value", chunked("0\r\nX: a\0\r\n\r\n"), "bad_field_value"],
  ["no colon", chunked("0\r\nContent-Length\r\n\r\n"), "missing_colon"],
  [
    "wrong after one that is dropped",
    chunked("0\r\nHost: b.mesh\r\nX : a\r\n\r\n"),
    "space_before_colon"
  ],
  ["LF", chunked("0\r\nX: a\nY: b\r\n\r\n"), "bare_lf"],
  ["a request for a trailer", chunked(`0\r\n${smuggled}`), "space_before_colon"]
]

const limits: ReadonlyArray<Case> = [
  ["head of 40 KiB", get(`X: ${"y".repeat(40 * 1024)}`), "head_bytes"],
  ["target of 40 KiB", line(`GET /${"y".repeat(40 * 1024)} HTTP/1.1`), "target_bytes"],
  ["target of 17 KiB", line(`GET /${"y".repeat(17 * 1024)} HTTP/1.1`), "target_bytes"],
  ["method of 40 KiB", line(`${"M".repeat(40 * 1024)} / HTTP/1.1`), "method_bytes"],
  ["method of 65 characters", line(`${"M".repeat(65)} / HTTP/1.1`), "method_bytes"],
  [
    "head that never ends",
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(40 * 1024)}`,
    "head_bytes"
  ],
  [
    "101 fields",
    get(Array.from({ length: 100 }, (_, i) => `X-${i}: y`).join("\r\n")),
    "field_count"
  ],
  ["chunk extension of 5 KiB", chunked(`3;${"x".repeat(5 * 1024)}`), "chunk_extension_bytes"],
  ["5 KiB of blanks", chunked(`3${" ".repeat(5 * 1024)};a`), "chunk_extension_bytes"],
  [
    "5 KiB of blanks in an extension",
    chunked(`3;a${"\t".repeat(5 * 1024)}=b`),
    "chunk_extension_bytes"
  ],
  [
    "many chunk extensions",
    chunked(`${`1;${"x".repeat(100)}\r\na\r\n`.repeat(50)}0\r\n\r\n`),
    "chunk_extension_bytes"
  ],
  ["trailers of 9 KiB", chunked(`0\r\nX: ${"y".repeat(9 * 1024)}`), "trailer_bytes"]
]

/** By what is attacked. Some (`isBodyCase`) show only once the head is on its way. */
export const requestCorpus: Readonly<Record<string, ReadonlyArray<Case>>> = {
  "content-length": lengths,
  "transfer-encoding": codings,
  "field lines": names,
  "line ends": lineEnds,
  "request line": requestLines,
  "host and connection": hosts,
  chunks,
  trailers,
  limits
}

/** Whether a request's head is right and only what follows is not. */
export const isBodyCase = (group: string, rule: string): boolean =>
  group === "chunks" || group === "trailers" || /^(chunk_extension|trailer)_bytes$/.test(rule)

const response = (lines: string, body = ""): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`

/** What a program may send to have its next answer taken for something else. */
export const responseCorpus: ReadonlyArray<Case> = [
  [
    "both lengths",
    response("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    "both_lengths"
  ],
  [
    "two lengths",
    response("Content-Length: 3\r\nContent-Length: 4", "abcd"),
    "duplicate_content_length"
  ],
  ["list of different lengths", response("Content-Length: 3,4", "abcd"), "bad_content_length"],
  ["list with a word", response("Content-Length: 3, x", "abc"), "bad_content_length"],
  ["list of nothing", response("Content-Length: ,", "abc"), "bad_content_length"],
  [
    "list and another length",
    response("Content-Length: 3, 3\r\nContent-Length: 4", "abcd"),
    "duplicate_content_length"
  ],
  ["tab beside the length", response("Content-Length: 3\t", "abc"), "bad_content_length"],
  [
    "tab beside the coding",
    response("Transfer-Encoding:\tchunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "chunked twice",
    response("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  [
    "chunked, chunked",
    response("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
    "bad_transfer_encoding"
  ],
  ["other coding", response("Transfer-Encoding: gzip, chunked"), "unsupported_coding"],
  [
    "coding in HTTP/1.0",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer_encoding_in_http10"
  ],
  ["folded field", response("X: a\r\n b"), "obs_fold"],
  ["LF after the status line", "HTTP/1.1 200\nX: y\r\n\r\n", "bare_lf"],
  ["LF after the reason", "HTTP/1.1 200 OK\nX: y\r\n\r\n", "bare_lf"],
  ["CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "bare_cr"],
  ["control byte in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", "bad_reason"],
  [
    "interim responses of 260 KiB",
    "HTTP/1.1 102 Processing\r\n\r\n".repeat(10_000),
    "interim_bytes"
  ],
  ["two digits", "HTTP/1.1 20 OK\r\n\r\n", "bad_status"],
  ["four digits", "HTTP/1.1 2000 OK\r\n\r\n", "bad_status"],
  ["status 099", "HTTP/1.1 099 OK\r\n\r\n", "bad_status"],
  ["letters", "HTTP/1.1 abc OK\r\n\r\n", "bad_status"],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "bad_version"],
  ["other protocol", "SSH-2.0-OpenSSH_9\r\n", "bad_version"],
  ["HTTP/2 settings frame", "\0\0\x12\x04\0\0\0\0\0", "bad_version"],
  ["empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", "bad_version"],
  ["101 without Upgrade", "HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", "bad_switch"],
  ["101 without Connection", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "bad_switch"],
  [
    "bytes after the end",
    response("Content-Length: 3", "abcHTTP/1.1 200 OK\r\n\r\n"),
    "unexpected_bytes"
  ],
  ["body after 204", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", "unexpected_bytes"],
  ["bad chunk size", response("Transfer-Encoding: chunked", "x\r\n"), "bad_chunk_size"],
  [
    "bad chunk size behind good content",
    response("Transfer-Encoding: chunked", "3\r\nabc\r\nx\r\n"),
    "bad_chunk_size"
  ],
  [
    "folded trailer",
    response("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n"),
    "obs_fold"
  ]
]

/**
 * Trailer fields that must not reach anybody, whatever is done with the message they come with: it
 * is whole, so it is passed on without them.
 */
export const droppedTrailers: ReadonlyArray<readonly [field: string, label: string]> = [
  ["Content-Length: 3", "content-length"],
  ["Transfer-Encoding: chunked", "transfer-encoding"],
  ["Host: b.mesh", "host"],
  ["Connection: close", "connection"],
  ["X-Forwarded-For: 10.0.0.1", "x-forwarded-for"],
  ["x_forwarded_for: 10.0.0.1", "x-forwarded-for"],
  ["authorization: Bearer x", "authorization"],
  ["Set-Cookie: a=b", "set-cookie"],
  ["Content-Type: text/html", "content-type"],
  ["Max-Forwards: 0", "max-forwards"],
  ["Skein-Error: overflow", "skein-*"],
  ["skein-node: host-z", "skein-*"],
  ["X-Hop: 1", "connection-option"]
]
