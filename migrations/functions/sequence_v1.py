"""How committed events get their places in the order of all: one statement of the leader, one transaction.

The lock on the lease's row is held until the commit, so that batches come one after another, and what the
lease says is compared under it. Every statement inside sees what was committed before it began.

What was looked through is a set of transactions: all below `scanned_below` but the `unfinished`. One that
stays open is an entry of the second and keeps nothing else back. The set may say too little, never too much:
whether an event has its place is read from log_index, and what stands there is passed over.
"""

from __future__ import annotations


def sequence_events(entry_hash: str | None = None) -> str:
    """The function's definition.

    `entry_hash` is an SQL expression over `e`, a row of public.events without its payload, for the 32 bytes
    that are stored beside each position; without it the column stays null.
    """
    return _DEFINITION.replace("{entry_hash}", entry_hash or "null::bytea")


# Plans are the same whatever the statistics say, since a plan that was made for an empty table would read all
# of a large one, a hundred times a second.
_DEFINITION = """
create function public.sequence_events(
    p_token bigint,
    p_limit integer,
    out outcome text,  -- sequenced, nothing, or lost: another leads
    out more boolean,  -- whether there is more to do at once
    out positions bigint[],
    out tenant_ids uuid[],
    out stream_ids text[],
    out versions bigint[],
    out entry_hashes bytea[]
) language plpgsql security invoker
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    -- So many rows are written at most: a page, and as many that its streams were still owed.
    v_most constant integer := 2 * p_limit;
    v_everything constant xid8 := '18446744073709551615';
    v_leads boolean;
    v_cluster bigint;
    v_scan bigint;
    v_scanned_in bigint;
    v_below xid8;
    v_unfinished xid8[];
    v_now pg_snapshot;
    v_bound xid8;
    v_page xid8[];
    v_cut xid8;
    v_position bigint;
    v_locked boolean;
begin
    more := false;
    -- First without the lock, since waiting for events must write nothing; then, where there are some, with.
    foreach v_locked in array array[false, true] loop
        if v_locked then
            select s.cluster, s.token = p_token and s.expires_at > clock_timestamp()
                into v_cluster, v_leads from public.sequencer s for update;
        else
            select s.cluster, s.token = p_token and s.expires_at > clock_timestamp()
                into v_cluster, v_leads from public.sequencer s;
        end if;
        if v_leads is not true then
            outcome := 'lost';
            return;
        end if;

        select s.scan, s.cluster, s.scanned_below, s.unfinished
            into v_scan, v_scanned_in, v_below, v_unfinished
            from public.log_scans s order by s.scan desc limit 1;
        -- Numbers of another cluster, of which this database is a copy, tell nothing of this one's. Then
        -- everything is gone through once whatever its number (0), and once more for what came meanwhile.
        if v_scan is null or v_scanned_in not in (0, v_cluster) then
            v_scan := coalesce(v_scan, 0);
            v_scanned_in := 0;
            v_below := '0';
            v_unfinished := '{}';
        end if;

        -- Taken before the events are looked at: what ends later is seen now or found again.
        select pg_current_snapshot() into v_now;
        v_bound := case when v_scanned_in = 0 then v_everything else pg_snapshot_xmax(v_now) end;
        select array_agg(p.xid order by p.xid) into v_page from (
            select l.xid from unnest(v_unfinished) u (xid) cross join lateral (
                select e.xid from public.events e where e.xid = u.xid limit p_limit + 1) l
            union all
            (select e.xid from public.events e where e.xid >= v_below and e.xid < v_bound
              order by e.xid limit p_limit + 1)
        ) p;
        if v_page is null and not (v_scanned_in = 0 and v_below > '0') then
            outcome := 'nothing';
            return;
        end if;
    end loop;

    -- Whole transactions: those before that of the first event beyond the page, or one that fills it alone.
    v_cut := coalesce(v_page[p_limit + 1], v_bound);
    if v_cut = v_page[1] then
        v_cut := (v_cut::text::numeric + 1)::text::xid8;
    end if;
    more := v_page[p_limit + 1] is not null;

    select coalesce(max(l.position), 0) into v_position from public.log_index l;
    with touched as (
        select p.tenant_id, p.stream_id, max(p.version) as up_to from (
            select e.tenant_id, e.stream_id, e.version
              from unnest(v_unfinished) u (xid) join public.events e on e.xid = u.xid
             where u.xid < v_cut
            union all
            select e.tenant_id, e.stream_id, e.version
              from public.events e where e.xid >= v_below and e.xid < v_cut
        ) p group by p.tenant_id, p.stream_id
    ), owed as (
        -- From the stream's first event without a place on: a later version cannot come before.
        select e.*, max(e.xid) over (
                    partition by e.tenant_id, e.stream_id order by e.version) as settled
          from touched t
          cross join lateral (
                select coalesce(max(l.version), 0) as done from public.log_index l
                 where l.tenant_id = t.tenant_id and l.stream_id = t.stream_id) d
          cross join lateral (
                select e.tenant_id, e.stream_id, e.version, e.xid, {entry_hash} as entry_hash
                  from public.events e
                 where e.tenant_id = t.tenant_id and e.stream_id = t.stream_id
                   and e.version > d.done and e.version <= t.up_to
                 order by e.version limit v_most) e
         order by e.tenant_id, e.stream_id, e.version limit v_most
    ), written as (
        -- Across streams the order of transactions, so that what was answered before stands before.
        insert into public.log_index (position, tenant_id, stream_id, version, entry_hash)
        select v_position + row_number() over (order by o.settled, o.tenant_id, o.stream_id, o.version),
               o.tenant_id, o.stream_id, o.version, o.entry_hash
          from owed o
        returning log_index.position, log_index.tenant_id, log_index.stream_id, log_index.version,
                  log_index.entry_hash
    )
    select array_agg(w.position order by w.position), array_agg(w.tenant_id order by w.position),
           array_agg(w.stream_id order by w.position), array_agg(w.version order by w.position),
           array_agg(w.entry_hash order by w.position)
        into positions, tenant_ids, stream_ids, versions, entry_hashes
        from written w;
    outcome := 'sequenced';

    if cardinality(positions) >= v_most then
        -- The rest of this page is found by looking at it again.
        more := true;
        return;
    end if;
    if v_scanned_in = 0 and not more then
        insert into public.log_scans (scan, cluster, scanned_below, unfinished)
        values (v_scan + 1, v_cluster, '0', '{}');
        more := true;
        return;
    end if;
    insert into public.log_scans (scan, cluster, scanned_below, unfinished)
    select v_scan + 1, v_scanned_in, greatest(v_below, v_cut), array(
        select u.xid from unnest(v_unfinished) u (xid)
         where u.xid >= v_cut or not pg_visible_in_snapshot(u.xid, v_now)
        union all
        select x.xid from pg_snapshot_xip(v_now) x (xid) where x.xid >= v_below and x.xid < v_cut);
end
$$
"""
