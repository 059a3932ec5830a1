/** Why a record does not get into the catalogue, and whether that speaks against whoever passed it on. */
import { Data, Either } from "effect"
import type { EnvelopeError } from "../trust/Envelope.ts"

export class RecordRefused extends Data.TaggedError("RecordRefused")<{
  readonly code:
    | "forged"
    | "malformed"
    /** Genuine, and said in a way that this version does not understand. */
    | "unreadable"
    | "too_large"
    | "wrong_owner"
    /** Genuine, of somebody who was thrown out, or whose root was: who passed it on may not have heard. */
    | "revoked"
    /** Genuine, of somebody who is gone for good: who passed it on may not have heard. */
    | "forgotten"
    /** Genuine but over: nobody's fault who passes it on. */
    | "too_old"
    /** One of the two clocks is wrong. */
    | "from_the_future"
    /** Genuine, and not its signer's to say. Who passes it on may know no better. */
    | "not_granted"
    /** The catalogue's limit. */
    | "full"
  readonly message: string
}> {}

/** Does it speak against whoever passed it on? Time does not, nor do versions: both differ. */
export const isBlameworthy = ({ code }: RecordRefused): boolean =>
  code === "forged" || code === "malformed" || code === "too_large" || code === "wrong_owner"

/** As an answer. */
export const refuse = (code: RecordRefused["code"], message: string) =>
  Either.left(new RecordRefused({ code, message }))

/** What an envelope that does not open says of the record in it. */
export const refusedEnvelope = ({ code, message }: EnvelopeError): RecordRefused => {
  switch (code) {
    case "expired":
      return new RecordRefused({ code: "too_old", message })
    case "not_yet_valid":
      return new RecordRefused({ code: "from_the_future", message })
    case "root_withdrawn":
      return new RecordRefused({ code: "revoked", message })
    case "malformed":
    case "too_large":
      return new RecordRefused({ code, message })
    default:
      return new RecordRefused({ code: "forged", message })
  }
}
