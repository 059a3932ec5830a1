/**
 * A policy as it stands where somebody wrote it, without the defaults of what is not there: where more than one says
 * something of a service, what each leaves out is for the others to say.
 */
import { Either, Schema } from "effect"
import { explain } from "./ExplainIssue.ts"
import { Policy, type PolicyInput } from "./PolicySchema.ts"

/** Bytes of it as JSON: it travels in its node's record, beside up to 255 others. */
export const maxWrittenPolicy = 4_096

const decode = Schema.decodeUnknownEither(Policy)

/** What is wrong in it is told as of any policy, at the same places. */
export const PolicyWritten = Schema.encodedSchema(Policy).pipe(
  // Editors are told what they are told of policies.
  Schema.annotations({ jsonSchema: { $ref: "#/$defs/Policy" } }),
  Schema.filter(
    (written): ReadonlyArray<Schema.FilterIssue> => {
      const length = JSON.stringify(written).length
      if (length > maxWrittenPolicy) {
        const message = `is ${length} bytes long as JSON; ${maxWrittenPolicy} is the limit`
        return [{ path: [], message }]
      }
      return Either.match(decode(written, { errors: "all", onExcessProperty: "error" }), {
        onLeft: ({ issue }) => explain(issue).map(({ message, path }) => ({ path, message })),
        onRight: () => []
      })
    },
    { jsonSchema: {} }
  )
)
export type PolicyWritten = PolicyInput
