/**
 * Checks the endpoints of this host, each in a fiber of its own, and says when one changes. Not
 * in step: every wait is 0.9 to 1.1 of the interval, by chance.
 */
import { Effect, FiberMap, Random, type Scope } from "effect"
import { activeCheck, type LocalService } from "../../model/LocalService.ts"
import type { ServiceName } from "../../model/Names.ts"
import { type ProgramTls, sameTls } from "../../model/ProgramTls.ts"
import { type ActiveCheck, type ProbeTarget, probe } from "./HealthProbe.ts"
import { type CheckResult, type HealthState, judge, unknownHealth } from "./HealthState.ts"

export interface HealthCheckerOptions {
  /** Called synchronously, for changes only; the first result of an endpoint is one. */
  readonly onChange: (
    service: ServiceName,
    endpointId: string,
    healthy: boolean,
    reason: string
  ) => void
  /** For tests and the simulator. Default: real connections. */
  readonly probe?: (target: ProbeTarget) => Effect.Effect<CheckResult>
}

export interface HealthChecker {
  /**
   * Checks these from now on. An endpoint whose address is the same keeps what is known of it,
   * also when its check is another.
   */
  readonly setServices: (services: ReadonlyArray<LocalService>) => Effect.Effect<void>
}

interface Checked {
  readonly service: ServiceName
  readonly id: string
  readonly host: string
  readonly port: number
  readonly tls: ProgramTls | undefined
  readonly check: ActiveCheck
  state: HealthState
}

/** The checks stop when the scope closes. */
export const makeHealthChecker = (
  options: HealthCheckerOptions
): Effect.Effect<HealthChecker, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runProbe = options.probe ?? probe
    const fibers = yield* FiberMap.make<string>()
    const checked = new Map<string, Checked>()

    const checkOnce = (entry: Checked) =>
      Effect.map(runProbe(entry), (result) => {
        const before = entry.state.status
        entry.state = judge(entry.state, result)
        if (entry.state.status === before) return
        const healthy = entry.state.status === "healthy"
        options.onChange(entry.service, entry.id, healthy, entry.state.reason)
      })

    const checkForever = (entry: Checked) =>
      checkOnce(entry).pipe(
        // Whoever is told of a change must not be able to stop the checks.
        Effect.catchAllDefect((defect) =>
          Effect.logError(`health check of ${entry.service}/${entry.id} broke`, defect)
        ),
        Effect.andThen(Random.nextRange(0.9, 1.1)),
        Effect.andThen((factor) => Effect.sleep(entry.check.interval * factor)),
        Effect.forever
      )

    const setServices = (services: ReadonlyArray<LocalService>) =>
      Effect.gen(function* () {
        const gone = new Set(checked.keys())
        for (const entry of wanted(services)) {
          const key = JSON.stringify([entry.service, entry.id])
          gone.delete(key)
          const known = checked.get(key)
          if (known !== undefined && sameAddress(known, entry)) {
            if (sameCheck(known.check, entry.check) && sameTls(known.tls, entry.tls)) continue
            entry.state = known.state
          }
          checked.set(key, entry)
          yield* FiberMap.run(fibers, key, checkForever(entry))
        }
        for (const key of gone) {
          checked.delete(key)
          yield* FiberMap.remove(fibers, key)
        }
      })

    return { setServices }
  })

const alpn: ReadonlyArray<string> = ["http/1.1"]

const wanted = (services: ReadonlyArray<LocalService>): Array<Checked> =>
  services.flatMap((service) =>
    service.endpoints.flatMap((address) => {
      const check = activeCheck(address)
      if (check === undefined) return []
      const { id, host, port } = address
      const { name } = service
      // The check is one of HTTP/1.1, whatever calls are made by.
      const tls = service.tls && check.kind === "http" ? { ...service.tls, alpn } : service.tls
      return [{ service: name, id, host, port, tls, check, state: unknownHealth }]
    })
  )

const sameAddress = (a: Checked, b: Checked): boolean => a.host === b.host && a.port === b.port

const sameCheck = (a: ActiveCheck, b: ActiveCheck): boolean => {
  if (a.interval !== b.interval || a.timeout !== b.timeout) return false
  switch (a.kind) {
    case "http":
      return b.kind === "http" && a.path === b.path && a.host === b.host
    case "grpc":
      return b.kind === "grpc" && a.service === b.service
    case "tcp":
      return b.kind === "tcp"
  }
}
