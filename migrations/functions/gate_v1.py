"""What must be found before a tenant is known: by the digest of a secret, or, for the sweep, by being open.

Each function belongs to a role that can log in nowhere and may read exactly the columns named here. The role
that the processes use may call the functions and still sees no row of another tenant by itself.
"""

from __future__ import annotations

GATE_COLUMNS = {
    "api_keys": "tenant_id, key_id, name, key_hash, revoked_at",
    "join_tokens": "tenant_id, token_hash, conversation_id, expires_at, used_at",
    "participants": "tenant_id, conversation_id, participant_id, credential_hash, left_at",
    "streams": "tenant_id, stream_id, sealed, created_at",
}

GATE_FUNCTIONS = {
    "authenticate(bytea)": """
        create function public.authenticate(p_key_hash bytea)
        returns table (tenant_id uuid, key_id uuid, name text)
        language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp as $$
            select k.tenant_id, k.key_id, k.name from public.api_keys k
            where k.key_hash = p_key_hash and k.revoked_at is null
        $$
    """,
    "find_join_token(bytea)": """
        create function public.find_join_token(p_token_hash bytea)
        returns table (tenant_id uuid, conversation_id uuid)
        language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp as $$
            select t.tenant_id, t.conversation_id from public.join_tokens t
            where t.token_hash = p_token_hash
        $$
    """,
    "find_resume_credential(bytea)": """
        create function public.find_resume_credential(p_credential_hash bytea)
        returns table (tenant_id uuid, conversation_id uuid, participant_id uuid)
        language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp as $$
            select p.tenant_id, p.conversation_id, p.participant_id from public.participants p
            where p.credential_hash = p_credential_hash and p.left_at is null
        $$
    """,
    # Oldest first, a page at a time; a null place is the beginning.
    "unsealed_conversations(timestamptz, text, integer)": """
        create function public.unsealed_conversations(
            p_after timestamptz, p_after_stream text, p_limit integer)
        returns table (tenant_id uuid, stream_id text, created_at timestamptz)
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
            select s.tenant_id, s.stream_id, s.created_at from public.streams s
            where not s.sealed and s.stream_id like 'conversation-%'
              and (p_after is null or (s.created_at, s.stream_id) > (p_after, p_after_stream))
            order by s.created_at, s.stream_id limit p_limit
        $$
    """,
}
