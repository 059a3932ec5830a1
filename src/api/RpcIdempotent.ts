/** What of an RPC the mesh goes by. */
import { Context } from "effect"

/**
 * The same request may be carried out twice, so a policy may repeat it when its endpoint broke off:
 * `Rpc.make("Items", …).annotate(Idempotent, true)`.
 */
export class Idempotent extends Context.Tag("skein/api/Idempotent")<Idempotent, boolean>() {}
