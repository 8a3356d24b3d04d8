// What the HTTP API answers (proxy/admin/dto.cpp, explained.cpp).

export interface Me {
  user: string;
  groups: string[];
  service: boolean;
  admin: boolean;
  auditor: boolean;
  monitor: boolean;
  csrf: string;
  expires_at: string | null;
  now: string | null;
}

export interface Vote {
  user: string;
  vote: 'approve' | 'deny';
  reason: string;
  at: string | null;
  surface: string;
}

export interface Approvers {
  needed: number;
  users: string[];
  groups: string[];
  services?: string[];
}

export interface Approvals extends Approvers {
  votes: Vote[];
}

export type Scope = 'statement' | 'shape' | 'transaction' | 'session';

export interface PassBounds {
  statement: boolean;
  shape?: string;
  transaction?: string;
  session?: string;
}

export type HoldState = 'pending' | 'approved' | 'denied' | 'expired' | 'withdrawn';

export interface Hold {
  id: number;
  kind: 'session' | 'statement';
  state: HoldState;
  user: string;
  groups: string[];
  target: string;
  rule: string;
  statement: string | null;
  statement_base64?: string;
  parameters?: string[];
  statement_sha256: string;
  touches: string[];
  reason: string;
  address: string;
  application: string;
  session: number | null;
  waiters: number;
  variants: { statement: string; parameters: string[] }[];
  in_transaction: boolean;
  transaction?: Transaction | null;
  opened_at: string | null;
  expires_at: string | null;
  ended_at: string | null;
  ended_reason: string;
  approvals: Approvals;
  assigned?: { to: string; by: string; reason: string; at: string | null };
  pass: PassBounds;
  granted?: Scope;
  granted_for?: string;
  may_vote: boolean;
  may_not_vote_because?: string;
  policy: string;
}

export interface Lock {
  type: string;
  on: string;
  mode: string;
  granted: boolean;
}

/// Of the session that asked first; `locks` null: not known, and why.
export interface Transaction {
  since: string | null;
  locks: Lock[] | null;
  locks_unknown_because?: string;
  locks_cut?: boolean;
  blocks?: number;
}

export type OptOutState = 'requested' | 'active' | 'denied' | 'withdrawn' | 'lapsed' | 'expired' |
  'revoked' | 'used_up';

export interface OptOut {
  id: number;
  state: OptOutState;
  rule: string;
  user: string;
  requested_by: string;
  reason: string;
  ticket: string;
  target: string | null;
  for: string;
  requested_at: string | null;
  request_expires_at: string | null;
  from: string | null;
  until: string | null;
  uses: number;
  max_uses: number | null;
  approvals: Partial<Approvers> & { needed: number; votes: Vote[] };
  may_vote: boolean;
  may_not_vote_because?: string;
  kind: 'request' | 'break_glass' | 'file';
  group: string | null;
  scope: { application?: string; on?: string[]; do?: string[]; shape?: string };
  starts_at: string | null;
  extends: number | null;
  ended_at: string | null;
  ended_reason: string;
  policy: string;
}

export interface Review {
  opt_out: number;
  state: 'open' | 'signed_off' | 'finding';
  kind: string;
  rule: string;
  user: string;
  uses: number;
  opened_at: string | null;
  due_at: string | null;
  overdue: boolean;
  closed_at: string | null;
  reviewer: string | null;
  note: string;
  may_review: boolean;
  may_not_review_because?: string;
}

export interface Flag {
  id: number;
  kind: 'flag' | 'lock';
  about: string;
  subject: string;
  reason: string;
  live: boolean;
  set_by: string;
  set_at: string | null;
  until: string | null;
  lifted_at: string | null;
  lifted_by: string | null;
  lifted_reason: string;
}

export interface Session {
  id: number;
  user: string;
  address: string;
  application: string;
  target: string;
  state: string;
  started_at: string | null;
  statement: string;
  hold: number | null;
  grant: string | null;
  server_pid: number | null;
  tls: boolean;
  transaction_since: string | null;
}

export interface Who {
  users?: string[];
  groups?: string[];
  applications?: string[];
  addresses?: string[];
  not?: Who;
}

export interface OptOutSpec {
  who: Who;
  approvers: Approvers;
  max_duration: string;
  max_uses?: number;
  max_live_per_person?: number;
  max_live_in_all?: number;
  ticket?: string;
  cool_down?: string;
  starts_within?: string;
  max_extensions?: number;
  per_month?: { per_person?: number; per_team?: number; in_all?: number };
  review?: { within: string; reviewers: { users: string[]; groups: string[] }; overdue: string };
  break_glass?: {
    who: Who;
    max_duration: string;
    announce: { users: string[]; groups: string[] };
    unreviewed: string;
  };
}

export interface Rule {
  id: string;
  tier: number;
  effect: Effect;
  who: Who;
  on: string[];
  do: string[];
  message: string;
  observe: boolean;
  observed?: number;
  exception?: {
    reason: string;
    review_by: string | null;
    over: string[];
    ended: boolean;
    uses: number;
  };
  hold?: { approvers: Approvers; wait: string; clients: string; reason_required: boolean;
           pass: PassBounds };
  opt_out?: OptOutSpec;
  hits: Hits;
}

/// Decisions since the proxy's start; what is held counts again as pass when it goes.
export type Hits = Record<'allow' | 'pass' | 'bypass' | 'hold' | 'refuse' | 'deny', number>;

export interface Finding {
  file: string;
  line: number;
  column: number;
  code: string;
  text: string;
  do: string;
}

export interface PolicyFindings {
  policy: string | null;
  in_force: boolean;
  findings: Finding[];
}

interface Outcome {
  effect: Effect;
  rule: string;
}

export interface Replay {
  records: number;
  skipped: number;
  same: number;
  stricter: number;
  looser: number;
  unknown: number;
  other_rule: number;
  changes: {
    verdict: 'stricter' | 'looser' | 'unknown';
    user: string;
    count: number;
    before: Outcome;
    after?: Outcome;
    why?: string;
    examples: string[];
  }[];
  cut: boolean;
  note: string;
  older_left_out: boolean;
}

export interface CandidateChanges {
  policy: string | null;
  findings: Finding[];
  rules: { change: 'added' | 'removed' | 'changed'; subject: string; fields: string[] }[];
  affected: {
    users: string[];
    target: string;
    actions: string[];
    object: string | null;
    when: string | null;
    before: Outcome;
    after: Outcome;
    text: string;
  }[];
  cut: boolean;
  replay: Replay | null;
}

export type Effect = 'allow' | 'hold' | 'deny';

export interface Rules {
  policy: string;
  default: Effect;
  opaque: Effect;
  resources: Record<string, { targets: string[]; relations: string[] }>;
  rules: Rule[];
  default_hits: Hits;
  opaque_hits: Hits;
}

export type AuditRecord = { seq: number; time: string; event: string } & Record<string, unknown>;

export interface Story {
  about: string;
  records: AuditRecord[];
  cut: boolean;
}

export interface Chain {
  state: 'verified' | 'broken' | 'unknown';
  running: boolean;
  checked_at: string | null;
  records: number;
  checkpoints: number;
  signed_through: number;
  head_seq: number;
  head: string;
  note: string;
  damage: { what: string; file: string; line: number; text: string } | null;
}

export interface Explained {
  effect: Effect;
  rule: string;
  reasons: string[];
  policy: string;
  as: { user: string; groups: string[]; application: string; address: string };
  on: string;
  at: string;
  text: { redacted: string; shape: string | null } | null;
  catalog: {
    state: 'followed' | 'none' | 'off' | 'unreachable';
    why?: string;
    server?: string;
    database?: string;
    relations?: number;
    functions?: number;
    stale?: boolean;
    unreadable?: number;
  };
  search_path: {
    schemas: string[] | null;
    from: string;
    matters: boolean;
    otherwise: { effect: Effect; rule: string } | null;
  };
  statements: {
    command: string;
    kinds: string[];
    relations: {
      how: 'read' | 'write';
      schema: string | null;
      name: string;
      columns: string[] | null;
      named: boolean;
      place: string | null;
      road: string | null;
      rules: string[];
    }[];
    functions: string[];
    operators: string[];
    types: string[];
    settings: string[];
    opaque: string[];
  }[];
  rules: { id: string; tier: number; effect: Effect; state: string; why: string[] }[];
  default: Effect;
  opaque: Effect;
  message: string | null;
  hold: { approvers: Approvers; wait: string; clients: string; reason_required: boolean } | null;
  notes: string[];
  cut: boolean;
}

export interface Answer {
  result: 'done' | 'counted';
  id: number | null;
  text: string;
}
