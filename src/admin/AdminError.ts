/**
 * What the admin API answers instead of a result. `code` is stable and for programs, `message`
 * says what failed with the value and the likely cause, `hint` what to do about it.
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { Schema } from "effect"

const fields = { code: Schema.String, message: Schema.String, hint: Schema.String }

/** The request itself is wrong: a value out of range, not JSON, too large. */
export class AdminInvalid extends Schema.TaggedError<AdminInvalid>()(
  "AdminInvalid",
  fields,
  HttpApiSchema.annotations({ status: 400 })
) {}

/** Not for this caller, or beyond what this node may grant. */
export class AdminForbidden extends Schema.TaggedError<AdminForbidden>()(
  "AdminForbidden",
  fields,
  HttpApiSchema.annotations({ status: 403 })
) {}

export class AdminNotFound extends Schema.TaggedError<AdminNotFound>()(
  "AdminNotFound",
  fields,
  HttpApiSchema.annotations({ status: 404 })
) {}

/** Not in the node's present state, or the config on disk is wrong: nothing was changed. */
export class AdminConflict extends Schema.TaggedError<AdminConflict>()(
  "AdminConflict",
  fields,
  HttpApiSchema.annotations({ status: 409 })
) {}

/** The node broke a promise of its own; the details are in its log. */
export class AdminBroken extends Schema.TaggedError<AdminBroken>()(
  "AdminBroken",
  fields,
  HttpApiSchema.annotations({ status: 500 })
) {}

/** The body of `/ready` while something is missing. */
export class NotReady extends Schema.TaggedError<NotReady>()(
  "NotReady",
  {
    ...fields,
    items: Schema.Array(
      Schema.Struct({ name: Schema.String, ready: Schema.Boolean, detail: Schema.String })
    )
  },
  HttpApiSchema.annotations({ status: 503 })
) {}

export type AdminError =
  | AdminInvalid
  | AdminForbidden
  | AdminNotFound
  | AdminConflict
  | AdminBroken
  | NotReady
