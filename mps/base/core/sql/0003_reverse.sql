DROP FUNCTION core_give_guesses_back(text[]);
DROP FUNCTION core_count_guesses(text[], integer[], integer[]);
DROP TABLE core_guess;
