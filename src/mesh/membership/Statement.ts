/**
 * What members say of each other, each in an envelope of its own, so that nobody speaks for
 * somebody else:
 *
 * - `suspect`: "I watch this member at this incarnation and cannot reach it, nor can others for me."
 * - `alive`: "I live, at this incarnation." Only ever said by the member itself.
 *
 * There is no "dead": everybody draws that conclusion from the same accusations by the same rule.
 * Statements carry no time. An accusation holds for one incarnation and a denial is a later one,
 * so an old statement that is heard again changes nothing.
 */
import { Data, Either, Schema } from "effect"
import { PeerKey } from "../../schema/NamesSchema.ts"
import { decodeCbor, encodeCbor } from "../trust/Cbor.ts"
import { describeSpan } from "../trust/CertificateError.ts"
import { EnvelopeCache, type EnvelopeError, openEnvelope, sealEnvelope } from "../trust/Envelope.ts"
import type { IdentityCell } from "../trust/NodeIdentity.ts"
import { describeRevocation, Revocations, type RevocationsCell } from "../trust/Revocations.ts"
import { isAstray } from "./Incarnation.ts"

/** What the envelope of a statement is signed as. */
export const statementKind = "membership"

/** Encoded bytes of a statement. */
const maxStatementBytes = 512

const Wire = Schema.Union(
  Schema.Struct({
    kind: Schema.Literal("suspect"),
    subject: PeerKey,
    incarnation: Schema.Int.pipe(Schema.nonNegative()),
    /** Makes a repeated accusation another message, which gossip does not take for the first. */
    repeat: Schema.Int.pipe(Schema.nonNegative())
  }),
  Schema.Struct({
    kind: Schema.Literal("alive"),
    incarnation: Schema.Int.pipe(Schema.nonNegative())
  })
)
type Wire = typeof Wire.Type

export type Statement =
  | {
      readonly kind: "suspect"
      readonly subject: PeerKey
      readonly incarnation: number
      readonly by: PeerKey
    }
  | { readonly kind: "alive"; readonly subject: PeerKey; readonly incarnation: number }

export class StatementRefused extends Data.TaggedError("StatementRefused")<{
  /**
   * `untimely`: a matter of clocks, and `unknown`: genuine, of a kind that a later version added;
   * nobody's fault who passes it on. `revoked`: of somebody who was thrown out, which who passed it on
   * may not have heard.
   */
  readonly code: "forged" | "untimely" | "unknown" | "revoked"
  readonly message: string
}> {}

/** A kind that this version does not know. */
const Later = Schema.Struct({
  kind: Schema.String.pipe(Schema.filter((kind) => kind !== "suspect" && kind !== "alive"))
})
const isLater = Schema.is(Later)

/** Fields that a later version added are ignored. */
const readStatement = (payload: Uint8Array): Either.Either<Wire, StatementRefused> =>
  Either.gen(function* () {
    const forged = ({ message }: { readonly message: string }) =>
      new StatementRefused({ code: "forged", message })
    const said = yield* Either.mapLeft(decodeCbor(Schema.Unknown, payload, "the statement"), forged)
    if (isLater(said)) {
      const message = `the statement is of kind ${said.kind}, which this version does not know`
      return yield* Either.left(new StatementRefused({ code: "unknown", message }))
    }
    return yield* Either.mapLeft(Schema.decodeUnknownEither(Wire)(said), forged)
  })

/** Who passes on what stands under a withdrawn root may not have heard of that. */
const refusedFor = (code: EnvelopeError["code"]): StatementRefused["code"] => {
  if (code === "expired" || code === "not_yet_valid") return "untimely"
  return code === "root_withdrawn" ? "revoked" : "forged"
}

/** Wall clock `now`, ms. */
export interface StatementDoor {
  readonly admit: (bytes: Uint8Array, now: number) => Either.Either<Statement, StatementRefused>
  readonly seal: (statement: Wire) => Uint8Array
}

/**
 * The cache may be shared with the other readers of envelopes. `onUntimely` is told of statements
 * ahead of our clock, and whose they are.
 *
 * @internal its keys are of libp2p's types, which whoever has only the declarations lacks
 */
export const makeStatementDoor = (
  identity: IdentityCell,
  cache: EnvelopeCache = new EnvelopeCache(),
  onUntimely: (statement: { readonly peer: PeerKey; readonly message: string }) => void = () =>
    undefined,
  revocations: RevocationsCell = { current: Revocations.none }
): StatementDoor => ({
  admit: (bytes, now) =>
    Either.gen(function* () {
      const { certificate, peer, payload } = yield* Either.mapLeft(
        openEnvelope(bytes, {
          roots: identity.current.roots,
          now,
          kind: statementKind,
          maxBytes: maxStatementBytes,
          cache
        }),
        ({ code, message }) => new StatementRefused({ code: refusedFor(code), message })
      )
      const out = revocations.current.outBy(certificate)
      if (out !== undefined) {
        const message = describeRevocation(out)
        return yield* Either.left(new StatementRefused({ code: "revoked", message }))
      }
      const said = yield* readStatement(payload)
      if (isAstray(said.incarnation, now)) {
        const ahead = describeSpan(said.incarnation - now)
        const message = `its incarnation ${said.incarnation} is ${ahead} ahead of this node's clock; one of the two clocks is wrong, or was when that node started`
        // An accusation is at the incarnation of somebody else.
        if (said.kind === "alive") onUntimely({ peer, message })
        return yield* Either.left(new StatementRefused({ code: "untimely", message }))
      }
      const { incarnation } = said
      return said.kind === "alive"
        ? { kind: "alive", subject: peer, incarnation }
        : { kind: "suspect", subject: said.subject, incarnation, by: peer }
    }),
  seal: (statement) => sealEnvelope(identity.current, statementKind, encodeCbor(statement))
})
