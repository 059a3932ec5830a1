/** What holds for calls to a service, value by value: what `skein policy explain` shows. */
import { Schema } from "effect"
import { policySources } from "../schema/LayeredPolicy.ts"
import { ServiceName } from "../schema/NamesSchema.ts"

const source = Schema.Literal(...policySources)

export const PolicyExplained = Schema.Struct({
  service: ServiceName,
  values: Schema.Array(
    Schema.Struct({
      /** `retry.attempts` */
      path: Schema.String,
      /** As it is written; null: there is no limit. */
      value: Schema.Unknown,
      /** `config`: of this node. `mesh`: a setting. `owner`: what the service's own node says. */
      source,
      /** Who says it; empty for a default. */
      by: Schema.String
    })
  ),
  /** What somebody says and does not hold, since it makes no policy with what is stronger. */
  leftOut: Schema.Array(
    Schema.Struct({ part: Schema.String, source, by: Schema.String, reason: Schema.String })
  )
})
export type PolicyExplained = typeof PolicyExplained.Type
