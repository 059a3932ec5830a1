/**
 * What a node inside a program is, where the program says nothing: one beside others. The host may
 * run a node of its own, and further programs theirs, so it takes no fixed port and not the host's
 * name (BesideIdentity.ts), and opens no port but the one that makes it a member.
 */
import { Effect, Option } from "effect"
import { ConfigError } from "../config/ConfigProblem.ts"
import { makeNodeConfig, type NodeConfig, type NodeConfigInput } from "../config/NodeConfig.ts"
import { withCertificates } from "../config/TlsFiles.ts"
import type { RunningNode } from "./RunningNode.ts"
import { StartError } from "./StartError.ts"

/**
 * A port that is free, on all interfaces: nodes of other hosts watch and call this one. They are
 * told which it became; a stranger gets no further than Noise.
 */
const anyPort = ["/ip4/0.0.0.0/tcp/0"]

/** Throws a `ConfigError`. */
export const embeddedConfig = ({ node, admin, outbound, ...rest }: NodeConfigInput): NodeConfig => {
  const written = makeNodeConfig({
    ...rest,
    node: { ...node, listen: node?.listen ?? anyPort, threads: node?.threads ?? 0 },
    admin: admin ?? "off",
    outbound: { ...outbound, http: outbound?.http ?? "off" }
  })
  const { config, problems } = withCertificates(written, process.cwd())
  if (problems.length === 0) return config
  const placed = problems.map((one) => ({ ...one, source: "config", position: undefined }))
  throw new ConfigError({ code: "config_invalid", problems: placed })
}

const invalidConfig = (cause: unknown): StartError => {
  if (!(cause instanceof ConfigError)) throw cause
  return new StartError({ code: "invalid_config", message: cause.message, cause })
}

/** The same for an effect. */
export const decodeEmbedded = (input: NodeConfigInput): Effect.Effect<NodeConfig, StartError> =>
  Effect.try({ try: () => embeddedConfig(input), catch: invalidConfig })

/** A program's start waits no longer for its mesh. */
const meetPatience = "10 seconds"

/** Before, a program's first call would not find the service it names. */
export const untilMet = ({
  name,
  ready
}: Pick<RunningNode, "name" | "ready">): Effect.Effect<void> =>
  ready.pipe(
    Effect.timeoutOption(meetPatience),
    Effect.flatMap((met) =>
      Option.isSome(met)
        ? Effect.void
        : Effect.logWarning(
            `${name} has met no other node of its mesh within ${meetPatience}; the program goes on, and what it calls may not be known yet. Is the node that invited it up and reachable?`
          )
    )
  )
