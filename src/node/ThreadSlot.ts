/** What is known of one request thread, over all its lives. */
import type { Timer } from "../model/TimerWheel.ts"
import type { ReportingThread } from "../telemetry/ThreadReports.ts"
import type { PlaneThread, SpawnPlane } from "./PlaneThread.ts"

export interface ThreadStatus {
  readonly index: number
  readonly state: "running" | "starting" | "restarting"
  readonly restarts: number
  /** Wall clock, ms. */
  readonly since: number
  /** What ended its last life. */
  readonly lastError: string | undefined
}

/** The place of one thread: its lives follow each other here. */
export interface ThreadSlot {
  readonly index: number
  readonly spawn: SpawnPlane
  thread: PlaneThread | undefined
  telemetry: ReportingThread | undefined
  state: ThreadStatus["state"]
  restarts: number
  since: number
  startedAt: number
  lastError: string | undefined
  failures: number
  pause: Timer | undefined
}
