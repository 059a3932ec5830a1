/** How the programs of a service are spoken to that only speak TLS, and which of them are believed. */
import { Schema } from "effect"
import { quote } from "../schema/ExplainIssue.ts"

const Pin = Schema.String.pipe(
  Schema.pattern(/^sha256\/[A-Za-z0-9+/]{43}=$/, {
    description: "sha256/ and the SHA-256 of a public key (SPKI) in base64",
    message: ({ actual }) =>
      `${quote(actual)} is not sha256/ and 44 characters of base64; the message of a call that fails says the pin of the program's key`
  })
)
const Pins = Schema.Union(Pin, Schema.Array(Pin).pipe(Schema.minItems(1), Schema.maxItems(16)))

const ServerName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9._:-]{1,253}$/, {
    description: "a name or an IP address that the program's certificate is for",
    message: ({ actual }) => `${quote(actual)} is neither a name nor an IP address`
  })
)

const Alpn = Schema.Array(Schema.String.pipe(Schema.pattern(/^[!-~]{1,255}$/))).pipe(
  Schema.maxItems(16)
)

const Fields = Schema.Struct({
  /**
   * A file of certificates (PEM), relative to the config, or the certificates themselves: CAs of which one has to
   * have signed the program's. Read again at a reload. Default: the CAs that the runtime brings along.
   */
  ca: Schema.optional(Schema.NonEmptyString),
  /** The program's public key, or several of which it has one. Without `ca` nothing else is looked at. */
  pin: Schema.optional(Pins),
  /** Whoever answers is believed. Default false. */
  insecure: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** Asked for (SNI), and what the certificate has to be for. Default: the host of the address. */
  serverName: Schema.optional(ServerName),
  /**
   * What is offered to be spoken within. Default: `http/1.1` for http, `h2` for http2 and grpc, nothing for
   * tcp. `[]`: nothing.
   */
  alpn: Schema.optional(Alpn)
})

export const TlsConfig = Fields.pipe(
  Schema.filter(
    ({ ca, insecure, pin }) =>
      !insecure ||
      (ca === undefined && pin === undefined) ||
      "has insecure: true beside ca or pin, which would be of no use; keep one",
    { identifier: "TlsConfig", jsonSchema: {} }
  )
)
export type TlsConfig = typeof TlsConfig.Type
