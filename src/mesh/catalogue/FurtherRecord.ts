/**
 * Records of kinds that this version does not know: kept and passed on for those that do, so that a
 * mesh can be upgraded node by node. Of such a record this node reads what every kind has in common,
 * and no more:
 *
 * - it is signed as `record`, by a member, with its certificate inside;
 * - `key` is `<kind>/<peer>` or `<kind>/<peer>/<anything>`, and the peer is the signer: nobody can
 *   put a record in the place of somebody else's, whatever the kind allows its writers;
 * - `epoch` (ms, not ahead of the others' clocks) and `version` order it, `signedAt` (ms) ages it;
 *   it is kept as long as a node's record.
 */
import { Either, Schema } from "effect"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { decodeCbor } from "../trust/Cbor.ts"
import { type FurtherEntry, furtherEntry, signerIn } from "./RecordEntry.ts"

/** What the envelope of a record of any further kind is signed as. */
export const furtherKind = "record"

const Count = Schema.Int.pipe(Schema.nonNegative())

const Head = Schema.Struct({
  key: Schema.String.pipe(Schema.filter((key) => signerIn(key) !== undefined)),
  epoch: Count,
  version: Count,
  signedAt: Count
})

/** What can be read of it; fails with what is wrong, for people. */
export const decodeFurther = (
  payload: Uint8Array,
  bytes: Uint8Array
): Either.Either<FurtherEntry, string> =>
  decodeCbor(Schema.Unknown, payload, "the record").pipe(
    Either.flatMap((value) =>
      Either.mapLeft(Schema.decodeUnknownEither(Head)(value), ({ issue }) => ({
        message: explainInLine(issue)
      }))
    ),
    Either.mapBoth({
      onLeft: ({ message }) => `the record cannot be read: ${message}`,
      onRight: (head) => furtherEntry(head, bytes)
    })
  )
