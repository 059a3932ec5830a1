/** Which services somebody may offer or speak for, as grants and settings write it. */
import { Schema } from "effect"

/** `payments` (that one), `shop-*` (every name that starts so) or `*` (all). */
export const ServicePattern = Schema.String.pipe(
  Schema.pattern(/^(\*|[a-z0-9][a-z0-9-]{0,61}\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/, {
    message: (issue) =>
      `${JSON.stringify(issue.actual)} is not a service pattern; write a service name, a prefix with '*' like shop-*, or *`
  })
)
