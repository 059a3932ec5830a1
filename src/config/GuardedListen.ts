/** Addresses to listen on, none of which is open to other hosts by oversight. */
import { Schema } from "effect"
import { isLoopback } from "../model/Loopback.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { type AdminAddress, AnyUnixAddress, ListenAddress, UnixAddress } from "./HostPort.ts"

/** Where the admin API listens, and where commands look for it. */
export const AdminListen = Schema.Union(UnixAddress, ListenAddress).annotations({
  description: "host:port or unix:/path"
})

/** Where programs attach. */
export const ProgramsListen = Schema.Union(AnyUnixAddress, ListenAddress).annotations({
  description: "host:port or unix:path"
})

/** What a listener beyond this host has to say: nothing may be open to others by oversight. */
export const allowRemote = Schema.optionalWith(Schema.Boolean, { default: () => false })

/** `who`: what everybody who reaches the listener can do. */
export const exposed = (listen: unknown, who: string, mend: string): string =>
  `${quote(listen)} can be reached from other hosts, and whoever reaches it ${who}; use 127.0.0.1, or write ${mend}`

/** `127.0.0.1:4191`, or with `allowRemote` as a mapping, which an address of others must have. */
export const guarded = <A extends AdminAddress, I>(listen: Schema.Schema<A, I>, who: string) => {
  const Detail = Schema.Struct({ listen, allowRemote })
  return Schema.transform(Schema.Union(listen, Detail), Schema.typeSchema(Detail), {
    strict: true,
    decode: (written) => ("listen" in written ? written : { listen: written, allowRemote: false }),
    encode: (value) => (value.allowRemote ? value : value.listen)
  }).pipe(
    Schema.filter(
      ({ listen, allowRemote }) => allowRemote || "path" in listen || isLoopback(listen.host),
      {
        message: ({ actual }) => exposed(actual, who, "{ listen: …, allowRemote: true }"),
        jsonSchema: {}
      }
    )
  )
}
