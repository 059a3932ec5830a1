/** Where a program looks for its host's node, and what to do when there is none, for people. */
import { resolve } from "node:path"
import { Either, Schema } from "effect"
import { DialAddress, type HostPort } from "../config/HostPort.ts"
import { unixPathOf } from "../model/UnixHost.ts"
import { explain } from "../schema/ExplainIssue.ts"
import type { NoNode } from "./NodeTries.ts"

/** The address as it was written, and by what. */
export interface SaidPlace {
  readonly address: string
  /** `SKEIN_ATTACH`, `to`; undefined: nobody has said any. */
  readonly by: string | undefined
}

const decode = Schema.decodeEither(DialAddress)

const usual = "unix:/run/skein/programs.sock"

/** As text is written for it: where nothing is said, or an empty SKEIN_ATTACH, the usual one. */
export const saidPlace = (to: string | undefined, environment: string | undefined): SaidPlace => {
  if (to !== undefined) return { address: to, by: "`to`" }
  if (environment !== undefined && environment !== "")
    return { address: environment, by: "SKEIN_ATTACH" }
  return { address: usual, by: undefined }
}

/** For a sentence, with who has said it: `unix:/x (SKEIN_ATTACH)`. */
export const placeText = ({ address, by }: SaidPlace): string =>
  `${address} (${by ?? "the usual place; another is said by `to` of Skein.attach, or by SKEIN_ATTACH"})`

/** With a path from the root on: a relative one counts from the working directory. Left: what is wrong with it. */
export const readPlace = (
  said: SaidPlace,
  directory: string
): Either.Either<{ readonly place: HostPort; readonly address: string }, string> => {
  const { address } = said
  const path = unixPathOf(address)
  const whole = path === undefined || path === "" ? address : `unix:${resolve(directory, path)}`
  const name = said.by ?? "the usual place"
  // A path alone is not host:port either, and what is meant is plain.
  if (/^[^:]*\//.test(address)) {
    return Either.left(`${name} is ${JSON.stringify(address)}, a path alone; write unix:${address}`)
  }
  return Either.match(decode(whole), {
    onLeft: ({ issue, message }) => {
      const [first] = explain(issue)
      return Either.left(
        `${name} is to say where this host's node is: ${first?.message ?? message}; write what \`programs.listen\` in the node's config says, like ${usual}`
      )
    },
    onRight: (place) => Either.right({ place, address: whole })
  })
}

/** What the system or the other side has said, and what to do about it. */
export const whyNoNode = ({ code, reason, refused }: NoNode, isPort: boolean): string => {
  if (refused !== undefined) return reason
  switch (code) {
    case "ENOENT":
      return "there is no such socket: the node is not up, or its `programs.listen` says another place (`skein status` has it at `attach`)"
    case "ECONNREFUSED":
      return isPort
        ? "nothing listens on that port: the node is not up, or its `programs.listen` says another one"
        : "the socket is there and nobody listens on it: its node has ended; start it again"
    case "EACCES":
    case "EPERM":
      return "this user may not open the socket: `mode` and `owner` of `programs` in the node's config say who may (by default the user of the node alone), and each directory of the path has to let it through"
    case "ENOTSOCK":
    case "ENOTDIR":
      return `what is there is no socket (${reason}): write what \`programs.listen\` in the node's config says`
    default:
      return reason
  }
}
