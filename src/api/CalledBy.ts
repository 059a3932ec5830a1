/**
 * For whom the call that is being served speaks, as the mesh has proved it: a value in the context of
 * every handler behind `MeshHttpServer`, with nothing to be required or provided.
 *
 *     const caller = yield* CalledBy
 *     if (caller?.kind !== "service" || caller.name !== "orders") return yield* new NotForYou()
 */
import { Context } from "effect"
import type { Caller } from "../model/Caller.ts"

/** Undefined: what runs here is no call of the mesh. */
export class CalledBy extends Context.Reference<CalledBy>()("skein/api/CalledBy", {
  defaultValue: (): Caller | undefined => undefined
}) {}
