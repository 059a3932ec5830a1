/**
 * CBOR as strict as it comes: definite lengths, shortest forms, each key once. What is signed has one
 * encoding, and what is read has one meaning. Fields that a schema does not know are those of a later
 * version, and are left out of what is read; they stay in the bytes.
 */
import { decode, encode } from "cborg"
import { Either, Schema } from "effect"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { CertificateError } from "./CertificateError.ts"

const decodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true
}

export const Bytes = Schema.Uint8ArrayFromSelf

/** The same memory without Buffer's own meaning of `slice` (cborg makes Buffers on Node). */
const plain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Properties that are undefined are left out. */
export const encodeCbor = (value: unknown): Uint8Array =>
  plain(encode(value, { ignoreUndefinedProperties: true }))

/** `what` stands in the message: `the certificate`. Byte strings are views into `bytes`. */
export const decodeCbor = <A, I>(
  schema: Schema.Schema<A, I>,
  bytes: Uint8Array,
  what: string
): Either.Either<A, CertificateError> => {
  const malformed = (why: string) =>
    new CertificateError({ code: "malformed", message: `${what} ${why}` })
  let value: unknown
  try {
    value = decode(plain(bytes), decodeOptions)
  } catch (cause) {
    return Either.left(malformed(`is not readable: ${String(cause)}`))
  }
  return Either.mapLeft(Schema.decodeUnknownEither(schema)(value), ({ issue }) =>
    malformed(`has the wrong shape: ${explainInLine(issue)}`)
  )
}
